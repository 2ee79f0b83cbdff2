// A bell between members that send, and members that wait for what is sent.
//
// The mailbox is a queue as the bell sees one: two counts, each behind a lock of its own. What is
// checked: each message is taken once, nobody sleeps while there is something to take or when the
// mailbox is closed, and where somebody has died the sleepers find it by their own looks.
#include "sync/bell.hpp"

#include <new>

#include "protocols.hpp"
#include "sync/owner_word.hpp"

namespace forkful::schedules {
namespace {

using sync::BellView;
using sync::Death;
using sync::Locked;
using sync::OwnerWord;

constexpr std::uint32_t kMostMessages = 3;  // for one of those who take

struct Words {
  OwnerWord put_lock;
  std::atomic<std::uint32_t> sent{0};
  std::uint32_t last = 0;  // plain: what the count's store makes known
  OwnerWord get_lock;
  std::atomic<std::uint32_t> taken{0};
  std::atomic<std::uint32_t> word{0};
  std::atomic<std::uint32_t> spinner{0};
  std::atomic<std::uint32_t> rota{0};
  std::atomic<std::uint32_t> closed{0};

  BellView bell() { return {word, spinner, rota, &put_lock}; }
};
alignas(64) Words g_words;

// What the test knows beside it.
struct Truth {
  std::uint32_t to_send = 0;
  bool may_die = false;
  bool closes = false;
  bool gave_up = false;
};

class Section {
 public:
  explicit Section(OwnerWord& lock) : lock_(lock) {
    Wait wait;
    (void)lock.lock(sync::self(), wait, Death::take_over);
  }
  ~Section() { lock_.unlock(); }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

 private:
  OwnerWord& lock_;
};

bool any() {
  return g_words.sent.load(std::memory_order_seq_cst) !=
         g_words.taken.load(std::memory_order_seq_cst);
}

bool is_closed() { return g_words.closed.load(std::memory_order_seq_cst) != 0; }

void close() {
  g_words.closed.exchange(1, std::memory_order_seq_cst);
  g_words.bell().wake_all();
}

void send(Truth& truth) {
  while (truth.to_send != 0) {
    {
      const Section section(g_words.put_lock);
      if (truth.to_send == 0) return;
      --truth.to_send;
      const std::uint32_t sent = g_words.sent.load(std::memory_order_relaxed) + 1;
      g_words.last = sent;
      g_words.sent.store(sent, std::memory_order_release);  // pairs with the load in try_take()
    }
    g_words.bell().notify();
  }
}

bool try_take(Schedule& schedule) {
  const Section section(g_words.get_lock);
  const std::uint32_t taken = g_words.taken.load(std::memory_order_relaxed);
  const std::uint32_t sent = g_words.sent.load(std::memory_order_acquire);
  schedule.expect(static_cast<std::int32_t>(sent - taken) >= 0, "more was taken than was sent");
  if (sent == taken) return false;
  g_words.taken.store(taken + 1, std::memory_order_release);
  return true;
}

// As queue.cpp takes: whoever has waited notifies the next one when it leaves.
bool take(Schedule& schedule, Truth& truth, sync::SpinBudget& budget) {
  std::int64_t end_ns = kForever;
  const bool soon = schedule.below(4) == 0;
  if (soon) end_ns = schedule.now_ns() + schedule.soon_ns();
  if (!soon && truth.may_die) end_ns = schedule.now_ns() + kGivesUpNs;
  Wait wait(Deadline{end_ns});
  bool waited = false;
  bool took = false;
  while (!(took = try_take(schedule))) {
    if (is_closed()) break;
    const Waited how = g_words.bell().wait(wait, budget, [] { return any() || is_closed(); });
    if (how != Waited::done) break;
    waited = true;
  }
  if (waited && g_words.bell().has_sleepers() && any()) g_words.bell().notify();
  if (!took && (!soon || is_closed())) truth.gave_up = true;
  return took;
}

void take_all(Schedule& schedule, Truth& truth, std::uint32_t quota) {
  sync::SpinBudget budget;
  // A yield is one more look, which would hide what the looks before and after it have missed.
  constexpr std::int64_t kLongTurnNs = 1'000'000'000;
  if (schedule.coin()) {
    while (budget.yields().next()) budget.yields().learn(kLongTurnNs);
  }
  while (quota != 0 && !truth.gave_up) {
    if (take(schedule, truth, budget)) --quota;
  }
}

void run(Schedule& schedule) {
  new (&g_words) Words{};
  schedule.name(&g_words.put_lock, "put_lock");
  schedule.name(&g_words.sent, "sent");
  schedule.name(&g_words.get_lock, "get_lock");
  schedule.name(&g_words.taken, "taken");
  schedule.name(&g_words.word, "word");
  schedule.name(&g_words.spinner, "spinner");
  schedule.name(&g_words.rota, "rota");
  schedule.name(&g_words.closed, "closed");
  Truth truth;
  truth.may_die = schedule.below(4) == 0;
  truth.closes = !truth.may_die && schedule.coin();
  if (schedule.coin()) schedule.spin();
  // Mostly one each, so that whoever leaves does not come back and find what it has overlooked.
  const std::uint32_t most = schedule.below(4) == 0 ? kMostMessages : 1;
  for (unsigned takers = 2 + schedule.below(2); takers != 0; --takers) {
    const std::uint32_t quota = 1 + schedule.below(most);
    truth.to_send += quota;
    schedule.add([&, quota] { take_all(schedule, truth, quota); });
  }
  const std::uint32_t all = truth.to_send;
  // Some wait for more than is sent, until somebody closes.
  if (truth.closes) truth.to_send = 1 + schedule.below(all - 1);
  for (unsigned senders = 1 + schedule.below(2); senders != 0; --senders) {
    schedule.add([&] {
      send(truth);
      if (truth.closes) close();
    });
  }
  if (truth.may_die) schedule.may_die(schedule.below(schedule.members()), 60);
  schedule.run();
  const std::uint32_t sent = g_words.sent.load();
  const std::uint32_t taken = g_words.taken.load();
  if (truth.closes) return;
  if (!schedule.anybody_died()) schedule.expect(sent == all && taken == all, "a message was lost");
  if (truth.gave_up) schedule.expect(sent == taken, "a message was overslept");
}

const Entered g_entered({"bell", [] { share(&g_words, sizeof g_words); }, run});

}  // namespace
}  // namespace forkful::schedules
