// The rules about a pool's workers, and about its attendant.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <forkful/bytes/attendance.hpp>
#include <forkful/bytes/pool_owner.hpp>
#include <functional>
#include <map>

#include "kernel/child.hpp"
#include "unit/pool/items.hpp"

namespace forkful::test {
namespace {

using bytes::Attendance;
using bytes::Death;
using bytes::PoolOwner;

// A worker's life: begins the first item that comes, and does this then.
void while_busy(const TaskPool& tasks, std::uint32_t slot, const std::function<void()>& act) {
  TaskPool::Worker worker(tasks, slot);
  Wait forever;
  if (worker.next(forever) != bytes::ByteQueue::Got::received) return;
  worker.begin_item();
  act();
}

// Workers that are forked, and run what the test says.
class Staff final : public PoolOwner::Hooks {
 public:
  std::function<void(const TaskPool&, std::uint32_t)> life = [](const auto&, auto) { ::pause(); };
  const PoolOwner* owner = nullptr;
  std::function<bool()> may_start = [] { return true; };
  int starts = 0;
  std::map<std::uint32_t, int> pids;
  std::map<std::uint32_t, int> signals;
  std::vector<Death> lost;
  std::optional<Death> given_up;
  bool refused = false;

  ~Staff() {
    for (const auto& [slot, pid] : pids) {
      ::kill(pid, SIGKILL);
      (void)kernel::await_child(pid);
    }
  }

  int start(std::uint32_t slot) override {
    ++starts;
    if (!may_start()) return 0;
    const int pid = kernel::fork_process();
    if (pid == 0) {
      life(owner->tasks(), slot);
      ::_exit(0);
    }
    pids[slot] = pid;
    return pid;
  }
  std::optional<int> ended(std::uint32_t slot) override {
    const auto exit = kernel::reap_child(pids.at(slot));
    if (!exit) return std::nullopt;
    pids.erase(slot);
    return exit->code;
  }
  bool send_signal(std::uint32_t slot, int signal) override {
    signals[slot] = signal;
    return ::kill(pids.at(slot), signal) == 0;
  }
  std::string name(std::uint32_t slot) override { return "Worker-" + std::to_string(slot); }
  void give_back(std::uint32_t) override {}
  void deliver(bytes::ByteMessage&) override {}
  void lose(std::uint64_t, const Death& why) override { lost.push_back(why); }
  void give_up(const Death* why) override {
    if (why != nullptr) given_up = *why;
    refused = why == nullptr;
  }
};

// A pool of two with such workers.
class Owned {
 public:
  explicit Owned(std::uint32_t processes = 2)
      : owner(processes, std::chrono::milliseconds(0), staff) {
    staff.owner = &owner;
  }
  template <class Condition>
  void look_until(Condition&& condition) {
    while (!condition()) {
      owner.look();
      owner.start_missing();
    }
  }
  void end() {
    owner.stop();
    owner.hurry();
    while (!owner.end_step()) continue;
    owner.bury_all();
  }

  Staff staff;
  PoolOwner owner;
};

TEST(PoolOwner, gives_up_after_five_early_deaths_that_are_the_workers_own) {
  Owned pool;
  pool.staff.life = [](const auto&, auto) { ::_exit(3); };
  pool.owner.start_missing();
  pool.look_until([&] { return pool.owner.has_given_up(); });
  ASSERT_TRUE(pool.staff.given_up.has_value());
  EXPECT_EQ(pool.staff.given_up->exit_code, 3);
  EXPECT_GE(pool.staff.starts, 5);
  EXPECT_LE(pool.staff.starts, 7);
  const std::string& facts = pool.staff.given_up->text;
  EXPECT_TRUE(facts.starts_with("5 workers died at their start")) << facts;
  EXPECT_TRUE(facts.ends_with("with exit code 3")) << "what may be the cause is the hook's to say";
}

TEST(PoolOwner, bears_with_twenty_four_that_were_killed_from_outside) {
  Owned pool(1);
  pool.staff.life = [](const auto&, auto) { ::kill(::getpid(), SIGKILL); };
  pool.owner.start_missing();
  pool.look_until([&] { return pool.owner.has_given_up(); });
  EXPECT_EQ(pool.staff.starts, 25);
  EXPECT_EQ(pool.staff.given_up->signal(), SIGKILL);
}

TEST(PoolOwner, counts_its_own_failures_however_many_are_killed_in_between) {
  Owned pool(1);
  pool.staff.life = [&](const auto&, auto) {
    if (pool.staff.starts % 2 == 0) ::kill(::getpid(), SIGKILL);
    ::_exit(3);
  };
  pool.owner.start_missing();
  pool.look_until([&] { return pool.owner.has_given_up(); });
  EXPECT_EQ(pool.staff.starts, 9);
  EXPECT_EQ(pool.staff.given_up->exit_code, 3);
}

TEST(PoolOwner, forgets_early_deaths_when_a_result_comes) {
  Owned pool(1);
  pool.staff.life = [](const auto&, auto) { ::_exit(3); };
  pool.owner.start_missing();
  while (pool.staff.starts < 20) {
    pool.owner.look();
    pool.owner.start_missing();
    EXPECT_TRUE(pool.owner.note({1, 0, 0, bytes::ResultKind::items, 0, 0}));
  }
  EXPECT_FALSE(pool.owner.has_given_up());
  pool.end();
}

TEST(PoolOwner, a_start_that_is_refused_is_tried_again_while_others_work) {
  Owned pool(2);
  pool.staff.may_start = [&] { return pool.staff.starts != 2; };
  pool.owner.start_missing();
  EXPECT_EQ(pool.staff.pids.size(), 1u);
  EXPECT_FALSE(pool.owner.has_given_up());
  pool.owner.look();
  EXPECT_TRUE(pool.owner.has_vacancy());
  pool.owner.start_missing();
  EXPECT_EQ(pool.staff.pids.size(), 2u);
  pool.owner.look();
  EXPECT_FALSE(pool.owner.has_vacancy());
  pool.end();
  EXPECT_TRUE(pool.owner.empty());

  Owned none(2);
  none.staff.may_start = [] { return false; };
  none.owner.start_missing();
  EXPECT_TRUE(none.owner.has_given_up());
  EXPECT_TRUE(none.staff.refused);
}

TEST(PoolOwner, a_leaving_worker_is_replaced_while_its_process_runs) {
  Owned pool(1);
  pool.owner.start_missing();
  EXPECT_FALSE(
      pool.owner.note({0, 0, 0, bytes::ResultKind::leaving, pool.staff.pids.begin()->first, 0}));
  pool.owner.start_missing();
  EXPECT_EQ(pool.staff.pids.size(), 2u);
  pool.end();
}

TEST(PoolOwner, a_call_from_within_a_start_is_not_left_without_a_worker) {
  Owned pool(1);
  bool nested = false;
  pool.staff.may_start = [&] {
    if (!std::exchange(nested, true)) {
      pool.owner.start_missing();
      EXPECT_EQ(pool.staff.pids.size(), 1u) << "which is the nested call's";
    }
    return true;
  };
  pool.owner.start_missing();
  pool.end();
  EXPECT_TRUE(pool.owner.empty());
}

TEST(PoolOwner, a_death_says_pid_signal_and_item) {
  Owned pool(1);
  pool.staff.life = [](const TaskPool& tasks, std::uint32_t slot) {
    TaskPool::Worker worker(tasks, slot);
    Wait forever;
    if (worker.next(forever) != bytes::ByteQueue::Got::received) return;
    square_all(worker, [](std::uint64_t item) {
      if (item == 12) ::kill(::getpid(), SIGUSR1);
    });
  };
  pool.owner.start_missing();
  submit_numbers(pool.owner.tasks(), 1, 10, 5);
  const int pid = pool.staff.pids.begin()->second;
  pool.look_until([&] { return !pool.staff.lost.empty(); });
  const Death& death = pool.staff.lost.front();
  EXPECT_EQ(death.pid, pid);
  EXPECT_EQ(death.signal(), SIGUSR1);
  EXPECT_EQ(death.item, 12u);
  EXPECT_FALSE(death.late);
  EXPECT_NE(death.text.find(std::to_string(pid)), std::string::npos);
  pool.end();
}

TEST(PoolOwner, a_loss_is_told_before_the_place_is_taken_again) {
  Owned pool(1);
  pool.staff.life = [](const TaskPool& tasks, std::uint32_t slot) {
    while_busy(tasks, slot, [] { ::kill(::getpid(), SIGKILL); });
  };
  pool.owner.start_missing();
  submit_numbers(pool.owner.tasks(), 1, 0, 1);
  while (pool.staff.lost.empty()) pool.owner.look();
  EXPECT_EQ(pool.staff.starts, 1) << "whoever waits for the answer would wait for a start as well";
  EXPECT_TRUE(pool.owner.has_vacancy());
  pool.owner.start_missing();
  EXPECT_EQ(pool.staff.starts, 2);
  EXPECT_FALSE(pool.owner.has_vacancy());
  pool.end();
}

TEST(PoolOwner, a_worker_that_takes_too_long_is_killed_and_told_as_late) {
  Owned pool(1);
  pool.staff.life = [](const TaskPool& tasks, std::uint32_t slot) {
    while_busy(tasks, slot, [] {
      for (;;) ::pause();
    });
  };
  pool.owner.start_missing();
  pool.owner.limit(1, std::chrono::milliseconds(1));
  submit_numbers(pool.owner.tasks(), 1, 0, 1);
  pool.look_until([&] { return !pool.staff.lost.empty(); });
  EXPECT_TRUE(pool.staff.lost.front().late);
  pool.end();
}

TEST(PoolOwner, the_end_signals_all_before_it_buries_any) {
  Owned pool(3);
  pool.staff.life = [](const auto&, auto) {
    ::signal(SIGTERM, SIG_IGN);
    for (;;) ::pause();
  };
  pool.owner.start_missing();
  for (const auto& [slot, pid] : pool.staff.pids) ::kill(pid, SIGSTOP);
  pool.owner.stop();
  EXPECT_FALSE(pool.owner.end_step());
  EXPECT_EQ(pool.staff.signals.size(), 3u);
  pool.owner.hurry();
  while (!pool.owner.end_step()) continue;
  for (const auto& [slot, signal] : pool.staff.signals) EXPECT_EQ(signal, SIGKILL);
  EXPECT_FALSE(pool.owner.empty());
  pool.owner.bury_all();
  EXPECT_TRUE(pool.owner.empty());
}

TEST(PoolOwner, damage_ends_the_pool_with_a_reason) {
  Owned pool(1);
  pool.owner.start_missing();
  EXPECT_FALSE(pool.owner.note({0, 0, 0, bytes::ResultKind::damaged, 0, 0}));
  EXPECT_TRUE(pool.owner.has_given_up());
  ASSERT_TRUE(pool.staff.given_up.has_value());
  EXPECT_NE(pool.staff.given_up->text.find("damaged"), std::string::npos);
  pool.end();
}

using Step = Attendance::Step;

// Whoever waits for all to leave is woken by each, and not at the next look.
TEST(PoolOwner, the_end_of_a_worker_ends_the_wait_for_it) {
  Owned pool;
  pool.owner.start_missing();
  for (int left = 2; left > 0; --left) {
    const int pid = pool.owner.running_pid();
    ASSERT_NE(pid, 0);
    ::kill(pid, SIGKILL);
    bytes::await_end(pid, Deadline::never());
    EXPECT_TRUE(kernel::may_have_ended(pid));
    pool.owner.start_no_more();
    pool.owner.look();
    EXPECT_EQ(pool.owner.active(), static_cast<std::uint32_t>(left - 1));
  }
  EXPECT_EQ(pool.owner.running_pid(), 0);
  EXPECT_TRUE(pool.owner.empty());
}

TEST(Attendance, steps_in_when_nobody_has_waited_for_a_grace) {
  Attendance attendance;
  const Attendance::Seen seen{
      .unfinished = true, .urgent = false, .waiting = 0, .waits = 5, .submitted = 9};
  EXPECT_EQ(attendance.next(seen), Step::look);
  EXPECT_EQ(attendance.next(seen), Step::look);
  EXPECT_EQ(attendance.next(seen), Step::attend);
  EXPECT_EQ(attendance.next(seen), Step::attend);
}

TEST(Attendance, leaves_a_program_alone_that_waits_now_and_then) {
  Attendance attendance;
  Attendance::Seen seen{
      .unfinished = true, .urgent = false, .waiting = 0, .waits = 0, .submitted = 0};
  for (int i = 0; i < 100; ++i) {
    ++seen.waits;
    ++seen.submitted;
    seen.waiting = static_cast<std::uint32_t>(i % 2);
    EXPECT_EQ(attendance.next(seen), Step::look);
  }
}

TEST(Attendance, does_at_once_what_no_waiter_can_do) {
  Attendance attendance;
  EXPECT_EQ(attendance.next(
                {.unfinished = true, .urgent = true, .waiting = 0, .waits = 1, .submitted = 1}),
            Step::attend);
}

TEST(Attendance, sleeps_when_nothing_was_asked_for_long) {
  Attendance attendance;
  const Attendance::Seen seen{
      .unfinished = false, .urgent = false, .waiting = 0, .waits = 5, .submitted = 9};
  int looks = 0;
  while (attendance.next(seen) != Step::sleep) ++looks;
  EXPECT_GT(looks, 10);
  EXPECT_LT(looks, 100);
}

}  // namespace
}  // namespace forkful::test
