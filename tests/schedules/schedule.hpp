// A seeded schedule: members of a family that run one at a time, handed over at every atomic
// operation on shared memory, with a kernel and a clock that are simulated too.
//
// The seed chooses who runs next, what a load sees (memory.hpp), which sleepers wake for no reason,
// how fast the clock goes and, where a protocol allows it, who dies and when. A schedule fails when
// a protocol's check does, at a data race, when all members sleep and nobody has died (a wake-up
// was lost), and when it does not end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "kernel/futex.hpp"
#include "memory.hpp"
#include "random.hpp"
#include "sync/liveness.hpp"

namespace forkful::schedules {

// Ends of waits. A wait where somebody may die gives up, longer than any sleeper goes without a
// look, so that whoever is left is not taken for a lost wake-up.
inline constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t kGivesUpNs = 20'000'000'000;

class Schedule final : public sync::Liveness {
 public:
  // Loud: says each step as it happens.
  Schedule(std::uint64_t seed, bool loud);
  ~Schedule() override;
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;

  // --- for a protocol's test ---

  std::uint32_t below(std::uint32_t n) { return random_.below(n); }
  bool coin() { return random_.below(2) != 0; }
  // A member that runs `body` in run(); returns its number, from 0.
  unsigned add(std::function<void()> body);
  // Member `who` may be killed in this schedule, at any of about so many first steps.
  void may_die(unsigned who, std::uint32_t within_steps);
  // Runs until all have ended.
  void run();
  // A time that a caller's wait may last: a sleep that ends so soon may end at any moment.
  std::int64_t soon_ns();
  // Whoever waits finds a CPU to spin on, in this schedule.
  void spin() { may_spin_ = true; }
  // Kills `who` now, from another member.
  void kill(unsigned who);
  [[nodiscard]] bool has_died(unsigned who) const;
  [[nodiscard]] bool has_ended(unsigned who) const;
  [[nodiscard]] bool anybody_died() const { return deaths_ != 0; }
  static base::MemberId id(unsigned who) { return base::MemberId::of(100 + who, 7); }
  [[nodiscard]] unsigned current() const { return current_; }
  [[nodiscard]] unsigned members() const { return static_cast<unsigned>(fibers_.size()); }
  // How failures and traces call what lies at `address`.
  void name(const void* address, std::string name);
  // Fails the schedule.
  [[noreturn]] void fail(const std::string& why);
  void expect(bool what, const char* why) {
    if (!what) fail(why);
  }

  // --- for the simulated compiler and kernel ---

  [[nodiscard]] bool runs() const { return runs_; }
  // Before each operation on shared memory: others may run first.
  void point();
  void yield();
  std::int64_t now_ns();
  kernel::FutexWake put_to_sleep(std::uintptr_t word, std::uint32_t expected,
                                 std::int64_t until_ns);
  int wake(std::uintptr_t word, int count);
  Memory& memory() { return memory_; }
  void note(const char* what, std::uintptr_t at, std::uint64_t value, int order, void* caller);

  // --- who lives ---

  base::MemberId join() override { fail("somebody joins a family"); }
  sync::End end_of(base::MemberId member) override;
  bool room_to_spin() override { return may_spin_; }
  void look_around() override {}
  void begin_sleep(const sync::SleepsAt&, std::int64_t) override {}
  void end_sleep() override {}

 private:
  struct Fiber;
  struct Step {
    unsigned who;
    const char* what;
    std::uintptr_t at;
    std::uint64_t value;
    int order;
    bool stale;
    void* caller;
  };
  enum class State { ready, asleep, ended, died };

  static void begin_fiber();
  // Goes on in the fiber that is the current one: where it was, or at its beginning.
  [[noreturn]] void enter(Fiber& fiber);
  void switch_to(unsigned next);
  void leave();  // whoever runs has ended or died
  [[nodiscard]] unsigned choose();
  void wake_at(std::int64_t now_ns);
  void disturb();
  void say(const Step& step) const;
  [[nodiscard]] std::string call(std::uintptr_t at) const;

  Random random_;
  bool loud_;
  std::uint64_t seed_;
  Memory& memory_;
  sync::Liveness* before_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  bool runs_ = false;
  unsigned current_ = 0;
  std::uint32_t steps_ = 0;
  std::uint32_t in_a_row_ = 0;
  std::int64_t clock_ns_;
  bool may_spin_ = false;
  std::uint32_t most_apart_ns_ = 1;  // two looks at the clock
  int deaths_ = 0;
  // How it chooses: at random, so many times of 256 somebody else; or by priority, which changes at
  // a few steps.
  bool by_priority_ = false;
  std::uint32_t switches_ = 0;
  std::vector<std::uint32_t> changes_at_;
  int lowest_ = 0;
  std::uint32_t disturbance_ = 0;
  std::vector<Step> last_steps_;
  std::size_t noted_ = 0;
  std::vector<std::pair<std::uintptr_t, std::string>> names_;
};

// The one that runs, if one does.
extern Schedule* g_schedule;

// Shared memory: what lies here is simulated while a schedule runs, and nothing else is.
void share(const void* begin, std::size_t bytes);
bool is_shared(std::uintptr_t at);

}  // namespace forkful::schedules
