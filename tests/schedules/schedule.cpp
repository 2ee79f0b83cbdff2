#include "schedule.hpp"

#include <cxxabi.h>
#include <ucontext.h>
#include <unistd.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <sstream>

namespace forkful::schedules {

Schedule* g_schedule = nullptr;

namespace {

constexpr std::size_t kStackBytes = 256 << 10;
constexpr std::uint32_t kMostSteps = 60'000;
constexpr std::uint32_t kMostInARow = 80;
constexpr std::uint32_t kFewestSteps = 32;   // of a schedule: priorities change in so many first
constexpr std::uint32_t kDoublings = 5;      // or in so many times the double
constexpr std::int64_t kSoonNs = 1'000'000;  // shorter than any slice of a sleep
constexpr std::uint32_t kSoonLooks = 12;     // at the clock; all together within kSoonNs
constexpr std::int64_t kMostNs = 100'000'000'000;
constexpr std::size_t kStepsKept = 120;
constexpr std::int64_t kBeginNs = 1'000'000'000'000;

struct Range {
  std::uintptr_t begin;
  std::uintptr_t end;
};
Range g_shared[4];
int g_ranges = 0;

// One for all schedules of a process, since its tables are large.
Memory& the_memory() {
  static Random none(0);
  static Memory memory(none);
  return memory;
}

// Stacks are used again. Nothing of a member that died on its stack is destroyed.
std::vector<std::unique_ptr<char[]>> g_stacks;

char* stack_of(unsigned who) {
  while (g_stacks.size() <= who) g_stacks.push_back(std::make_unique<char[]>(kStackBytes));
  return g_stacks[who].get();
}

// The main program's place, to which the last fiber returns.
jmp_buf g_main;
// The exceptions that a fiber is handling, which the C++ library keeps by thread.
using Exceptions = std::array<std::byte, 2 * sizeof(void*)>;
Exceptions g_main_exceptions;

void swap_exceptions(Exceptions& away, const Exceptions& in) {
  void* const globals = abi::__cxa_get_globals();
  std::memcpy(away.data(), globals, away.size());
  std::memcpy(globals, in.data(), in.size());
}

}  // namespace

void share(const void* begin, std::size_t bytes) {
  const auto at = reinterpret_cast<std::uintptr_t>(begin);
  g_shared[g_ranges++] = {at, at + bytes};
}

bool is_shared(std::uintptr_t at) {
  for (int i = 0; i < g_ranges; ++i) {
    if (at >= g_shared[i].begin && at < g_shared[i].end) return true;
  }
  return false;
}

struct Schedule::Fiber {
  std::function<void()> body;
  State state = State::ready;
  bool begun = false;
  ucontext_t first;
  jmp_buf place;
  Exceptions exceptions{};
  int priority = 0;
  std::uint32_t steps = 0;
  std::uint32_t dies_at = std::numeric_limits<std::uint32_t>::max();
  std::uintptr_t word = 0;
  std::int64_t until_ns = 0;
  kernel::FutexWake how = kernel::FutexWake::woken;
};

Schedule::Schedule(std::uint64_t seed, bool loud)
    : random_(seed),
      loud_(loud),
      seed_(seed),
      memory_(the_memory()),
      before_(sync::g_liveness.exchange(this)),
      clock_ns_(kBeginNs) {
  constexpr std::uint32_t kShares[] = {0, 32, 128, 200};  // of 256
  by_priority_ = coin();
  switches_ = kShares[1 + below(3)];
  may_spin_ = below(3) == 0;
  most_apart_ns_ = coin() ? 20'000 : 2'000;
  disturbance_ = below(4);
  memory_.begin(random_, kShares[below(4)], coin() ? 32 : 0);
  const std::uint32_t within = kFewestSteps << below(kDoublings);
  for (int i = 0; i < 3; ++i) changes_at_.push_back(below(within));
  last_steps_.resize(kStepsKept);
  g_schedule = this;
}

Schedule::~Schedule() {
  g_schedule = nullptr;
  sync::g_liveness = before_;
}

unsigned Schedule::add(std::function<void()> body) {
  auto fiber = std::make_unique<Fiber>();
  fiber->body = std::move(body);
  fiber->priority = static_cast<int>(below(1000)) + 1;
  fibers_.push_back(std::move(fiber));
  if (fibers_.size() > kMostThreads) fail("too many members");
  return static_cast<unsigned>(fibers_.size() - 1);
}

void Schedule::may_die(unsigned who, std::uint32_t within_steps) {
  fibers_[who]->dies_at = 1 + below(within_steps);
}

std::int64_t Schedule::soon_ns() { return 1 + below(kSoonLooks * most_apart_ns_); }

bool Schedule::has_died(unsigned who) const { return fibers_[who]->state == State::died; }
bool Schedule::has_ended(unsigned who) const {
  return fibers_[who]->state == State::died || fibers_[who]->state == State::ended;
}

void Schedule::name(const void* address, std::string name) {
  names_.emplace_back(reinterpret_cast<std::uintptr_t>(address), std::move(name));
}

void Schedule::run() {
  runs_ = true;
  current_ = choose();
  if (_setjmp(g_main) == 0) {
    Fiber& first = *fibers_[current_];
    sync::t_self = id(current_);
    swap_exceptions(g_main_exceptions, first.exceptions);
    enter(first);
  }
  runs_ = false;
  sync::t_self = {};
}

void Schedule::begin_fiber() {
  Schedule& schedule = *g_schedule;
  Fiber& me = *schedule.fibers_[schedule.current_];
  try {
    me.body();
  } catch (const std::exception& error) {
    schedule.fail(std::string("an exception: ") + error.what());
  } catch (...) {
    schedule.fail("an exception");
  }
  me.state = State::ended;
  schedule.leave();
}

void Schedule::enter(Fiber& fiber) {
  if (fiber.begun) _longjmp(fiber.place, 1);
  fiber.begun = true;
  getcontext(&fiber.first);
  fiber.first.uc_stack.ss_sp = stack_of(current_);
  fiber.first.uc_stack.ss_size = kStackBytes;
  fiber.first.uc_link = nullptr;
  makecontext(&fiber.first, &Schedule::begin_fiber, 0);
  setcontext(&fiber.first);
  std::abort();  // it returns only where it fails
}

void Schedule::switch_to(unsigned next) {
  if (next == current_) return;
  Fiber& from = *fibers_[current_];
  Fiber& to = *fibers_[next];
  if (_setjmp(from.place) != 0) return;
  current_ = next;
  in_a_row_ = 0;
  sync::t_self = id(next);
  swap_exceptions(from.exceptions, to.exceptions);
  enter(to);
}

void Schedule::leave() {
  for (const auto& fiber : fibers_) {
    if (fiber->state == State::ready || fiber->state == State::asleep) {
      switch_to(choose());
      std::abort();  // nobody switches back
    }
  }
  Exceptions last;
  swap_exceptions(last, g_main_exceptions);
  _longjmp(g_main, 1);
}

unsigned Schedule::choose() {
  for (;;) {
    unsigned ready[kMostThreads];
    std::uint32_t count = 0;
    for (unsigned i = 0; i < fibers_.size(); ++i) {
      if (fibers_[i]->state == State::ready) ready[count++] = i;
    }
    if (count != 0) {
      if (!by_priority_) return ready[below(count)];
      unsigned best = ready[0];
      for (std::uint32_t i = 1; i < count; ++i) {
        if (fibers_[ready[i]]->priority > fibers_[best]->priority) best = ready[i];
      }
      return best;
    }
    // All sleep, so the clock goes on. What only the end of a slice would find was lost, unless
    // somebody has died: that is what slices are for.
    std::int64_t first_ns = kForever;
    for (const auto& fiber : fibers_) {
      if (fiber->state == State::asleep) first_ns = std::min(first_ns, fiber->until_ns);
    }
    if (first_ns > clock_ns_ + kSoonNs && deaths_ == 0) fail("all sleep: a wake-up was lost");
    if (first_ns > kBeginNs + kMostNs) fail("all sleep for ever");
    wake_at(first_ns);
  }
}

void Schedule::wake_at(std::int64_t now_ns) {
  clock_ns_ = std::max(clock_ns_, now_ns);
  for (const auto& fiber : fibers_) {
    if (fiber->state != State::asleep || fiber->until_ns > clock_ns_) continue;
    fiber->state = State::ready;
    fiber->how = kernel::FutexWake::timed_out;
  }
}

// Sleeps that end for no reason, or because the time of their caller is over.
void Schedule::disturb() {
  if (!random_.chance(disturbance_)) return;
  const unsigned who = below(static_cast<std::uint32_t>(fibers_.size()));
  Fiber& fiber = *fibers_[who];
  if (fiber.state != State::asleep) return;
  if (fiber.until_ns <= clock_ns_ + kSoonNs && coin()) {
    wake_at(fiber.until_ns);
    return;
  }
  fiber.state = State::ready;
  fiber.how = coin() ? kernel::FutexWake::signalled : kernel::FutexWake::woken;
}

void Schedule::point() {
  if (memory_.race() != nullptr)
    fail(memory_.race() + std::string(", at ") + call(memory_.race_at()));
  if (++steps_ > kMostSteps) fail("it does not end");
  Fiber& me = *fibers_[current_];
  if (++me.steps == me.dies_at) kill(current_);
  disturb();
  if (by_priority_) {
    for (const std::uint32_t at : changes_at_) {
      if (at == steps_) me.priority = --lowest_;
    }
    if (++in_a_row_ > kMostInARow) {
      in_a_row_ = 0;
      me.priority = --lowest_;
    }
    switch_to(choose());
  } else if (random_.chance(switches_)) {
    switch_to(choose());
  }
}

void Schedule::yield() {
  fibers_[current_]->priority = --lowest_;
  switch_to(choose());
}

std::int64_t Schedule::now_ns() {
  if (!runs_) return ++clock_ns_;
  clock_ns_ += 1 + below(most_apart_ns_);
  // Whoever was woken shortly before its time was over may look at the clock just after that.
  const std::int64_t until_ns = fibers_[current_]->until_ns;
  if (until_ns > clock_ns_ && until_ns <= clock_ns_ + kSoonNs && below(4) == 0) {
    clock_ns_ = until_ns;
  }
  return clock_ns_;
}

void Schedule::kill(unsigned who) {
  Fiber& victim = *fibers_[who];
  if (has_ended(who)) return;
  victim.state = State::died;
  ++deaths_;
  note("dies", 0, who, -1, nullptr);
  if (who == current_) leave();
}

sync::End Schedule::end_of(base::MemberId member) {
  for (unsigned i = 0; i < fibers_.size(); ++i) {
    if (member != id(i)) continue;
    if (!has_ended(i)) return sync::End::alive;
    // The kernel has told, after all that it did.
    if (runs_) memory_.know_all_of(current_, i);
    return fibers_[i]->state == State::died ? sync::End::died : sync::End::left;
  }
  // OwnerWord::abandon() names nobody; whoever is no member has ended.
  return member.index() == 0 ? sync::End::died : sync::End::alive;
}

kernel::FutexWake Schedule::put_to_sleep(std::uintptr_t word, std::uint32_t expected,
                                         std::int64_t until_ns) {
  point();
  Fiber& me = *fibers_[current_];
  if (word != 0 && memory_.kernel_looks(current_, word, 4) != expected) {
    return kernel::FutexWake::changed;
  }
  note("sleeps", word, expected, -1, nullptr);
  me.state = State::asleep;
  me.word = word;
  me.until_ns = until_ns;
  switch_to(choose());
  me.state = State::ready;
  return me.how;
}

int Schedule::wake(std::uintptr_t word, int count) {
  point();
  memory_.kernel_wakes(current_);
  int woken = 0;
  const auto all = static_cast<std::uint32_t>(fibers_.size());
  const std::uint32_t first = below(all);
  for (std::uint32_t i = 0; i < all && woken < count; ++i) {
    Fiber& fiber = *fibers_[(first + i) % all];
    if (fiber.state != State::asleep || fiber.word != word) continue;
    fiber.state = State::ready;
    fiber.how = kernel::FutexWake::woken;
    memory_.know_all_of((first + i) % all, current_);
    ++woken;
  }
  note("wakes", word, static_cast<std::uint64_t>(woken), -1, nullptr);
  return woken;
}

void Schedule::note(const char* what, std::uintptr_t at, std::uint64_t value, int order,
                    void* caller) {
  Step& step = last_steps_[noted_++ % kStepsKept];
  step = {current_, what, at, value, order, order >= 0 && memory_.was_stale(), caller};
  if (loud_) say(step);
}

std::string Schedule::call(std::uintptr_t at) const {
  std::string best;
  std::uintptr_t distance = 4096;
  for (const auto& [address, name] : names_) {
    if (at < address || at - address >= distance) continue;
    distance = at - address;
    best = name;
    if (distance != 0) best += "+" + std::to_string(distance);
  }
  if (!best.empty()) return best;
  std::ostringstream text;
  text << "0x" << std::hex << at;
  return text.str();
}

void Schedule::say(const Step& step) const {
  static constexpr const char* kOrders[] = {"relaxed", "consume", "acquire",
                                            "release", "acq_rel", "seq_cst"};
  std::printf("  %u %-8s %-24s 0x%-16llx %s%s", step.who, step.what,
              step.at != 0 ? call(step.at).c_str() : "",
              static_cast<unsigned long long>(step.value),
              step.order >= 0 ? kOrders[step.order] : "", step.stale ? ", an old one" : "");
  if (step.caller != nullptr) std::printf("  @%p", step.caller);
  std::printf("\n");
}

void Schedule::fail(const std::string& why) {
  runs_ = false;
  if (!loud_) {
    const std::size_t first = noted_ > kStepsKept ? noted_ - kStepsKept : 0;
    for (std::size_t i = first; i < noted_; ++i) say(last_steps_[i % kStepsKept]);
  }
  for (unsigned i = 0; i < fibers_.size(); ++i) {
    static constexpr const char* kStates[] = {"is ready", "sleeps", "has ended", "has died"};
    std::printf("  member %u %s%s\n", i, kStates[static_cast<int>(fibers_[i]->state)],
                i == current_ ? ", and ran last" : "");
  }
  std::printf("schedules: FOUND at seed %llu, step %u: %s\n",
              static_cast<unsigned long long>(seed_), steps_, why.c_str());
  std::fflush(stdout);
  _exit(1);
}

}  // namespace forkful::schedules
