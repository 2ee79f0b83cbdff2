// A member that is stopped inside a short section keeps a lock of ours: calls that need it give
// away what they have, end as their wait says, change nothing, and go on when it is continued.
#include <gtest/gtest.h>
#include <signal.h>

#include <functional>
#include <string>
#include <thread>

#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/messages.hpp"

namespace forkful::bytes {
namespace {

using std::chrono::milliseconds;
using Put = ByteQueue::Put;
using Got = ByteQueue::Got;
using test::make_message;

constexpr std::size_t kSmall = 100;
constexpr std::size_t kLarge = 100'000;

enum class Call { put, get };

struct StopAt {
  kernel::FaultPoint point;
  int pass;
  Call stopped;       // what the other member does
  std::size_t bytes;  // of each message
  Call ours;
};

std::string name_of(const StopAt& at) {
  std::string name = std::string(at.point.name()) + "_" + std::to_string(at.pass) + "_by_" +
                     (at.stopped == Call::put ? "put" : "get") + "_for_" +
                     (at.ours == Call::put ? "put" : "get") +
                     (at.bytes == kSmall ? "_small" : "_large");
  for (char& c : name) c = c == '.' ? '_' : c;
  return name;
}

// Counts what it gives away, and is interrupted when somebody says so.
class WatchedWait final : public Wait {
 public:
  using Wait::Wait;
  void before() noexcept override { ++given; }
  void after() noexcept override { --given; }
  bool interrupted(bool) noexcept override {
    EXPECT_EQ(given, 1) << "asked while the caller has it";
    ever_asked = true;
    return interrupt;
  }
  std::atomic<int> given = 0;
  std::atomic<bool> ever_asked = false;
  std::atomic<bool> interrupt = false;
};

class Stopped : public testing::TestWithParam<StopAt> {
 protected:
  static constexpr std::uint32_t kWaiting = 2;

  void SetUp() override {
    const StopAt& at = GetParam();
    for (std::uint32_t i = 0; i < kWaiting; ++i) {
      ASSERT_EQ(test::put(queue_, make_message(1, i, at.bytes)), Put::sent);
    }
    child_ = test::fork_child([&] {
      test::stop_at(at.point, at.pass);
      if (at.stopped == Call::put) {
        FORKFUL_MUST(test::put(queue_, make_message(2, 0, at.bytes)) == Put::sent);
      } else {
        FORKFUL_MUST(test::try_get(queue_));
      }
    });
    child_.await_stopped();
  }
  // Does a call with `wait`; another thread does `act` once that has been given away.
  std::string call_and_then(WatchedWait& wait, const std::function<void()>& act) {
    std::thread other([&] {
      FORKFUL_AWAIT(wait.given == 1);
      act();
    });
    const std::string how = call(wait);
    other.join();
    EXPECT_EQ(wait.given, 0);
    return how;
  }
  // "done", or how else the call ended.
  std::string call(Wait& wait) {
    const StopAt& at = GetParam();
    if (at.ours == Call::put) {
      const auto message = make_message(3, 0, at.bytes);
      const Bytes part(message);
      switch (queue_.put(std::span(&part, 1), wait)) {
        case Put::sent:
          return "done";
        case Put::timed_out:
          return "timed out";
        case Put::interrupted:
          return "interrupted";
        default:
          return "shut down";
      }
    }
    ByteMessage into;
    switch (queue_.get(into, wait)) {
      case Got::received:
        EXPECT_TRUE(test::read_message(into.bytes()));
        return "done";
      case Got::timed_out:
        return "timed out";
      case Got::interrupted:
        return "interrupted";
      default:
        return "shut down";
    }
  }
  // Continues the other member; `calls` of ours had got through.
  void expect_all_whole(int calls) {
    child_.signal(SIGCONT);
    EXPECT_EQ(child_.wait(), 0);
    const StopAt& at = GetParam();
    const auto net = [](Call call) { return call == Call::put ? 1 : -1; };
    const int left = static_cast<int>(kWaiting) + net(at.stopped) + calls * net(at.ours);
    EXPECT_EQ(queue_.size(), static_cast<std::uint32_t>(left));
    for (int i = 0; i < left; ++i) EXPECT_TRUE(test::try_get(queue_));
    queue_ = ByteQueue();
    arena::check_heap();
    EXPECT_EQ(arena::heap_use().used_bytes, used_);
  }

  std::uint64_t used_ = (ByteQueue::create(), arena::heap_use().used_bytes);
  ByteQueue queue_ = ByteQueue::create();
  test::Child child_{0, {}};
};

TEST_P(Stopped, a_call_with_a_limit_ends_in_time) {
  WatchedWait wait(Deadline::in(milliseconds(50)));
  EXPECT_EQ(call(wait), "timed out");
  EXPECT_EQ(wait.given, 0);
  expect_all_whole(0);
}

TEST_P(Stopped, a_call_gives_away_what_it_has_and_is_interrupted) {
  WatchedWait wait;
  const auto interrupt = [&] {
    FORKFUL_AWAIT(wait.ever_asked);
    wait.interrupt = true;
  };
  EXPECT_EQ(call_and_then(wait, interrupt), "interrupted");
  expect_all_whole(0);
}

TEST_P(Stopped, a_call_goes_on_when_the_other_member_is_continued) {
  for (const bool polls : {false, true}) {
    WatchedWait wait(polls ? Deadline::poll() : Deadline::never());
    EXPECT_EQ(call_and_then(wait, [&] { child_.signal(SIGCONT); }), "done");
    if (!polls) {
      expect_all_whole(1);
      queue_ = ByteQueue::create();
      SetUp();
    }
  }
  expect_all_whole(1);
}

TEST_P(Stopped, a_call_goes_on_when_the_other_member_is_killed) {
  WatchedWait wait;
  EXPECT_EQ(call_and_then(wait, [&] { child_.signal(SIGKILL); }), "done");
}

INSTANTIATE_TEST_SUITE_P(
    EveryLock, Stopped,
    testing::Values(StopAt{"queue.put.reserved", 1, Call::put, kSmall, Call::put},
                    StopAt{"queue.get.copied", 1, Call::get, kSmall, Call::get},
                    // The arena's journal: while it allocates, sends and receives.
                    StopAt{"journal.staged", 1, Call::put, kLarge, Call::put},
                    StopAt{"journal.staged", 2, Call::put, kLarge, Call::put},
                    StopAt{"journal.staged", 1, Call::put, kLarge, Call::get},
                    StopAt{"journal.staged", 1, Call::get, kLarge, Call::get},
                    StopAt{"journal.staged", 1, Call::get, kLarge, Call::put}),
    [](const auto& each) { return name_of(each.param); });

// The lock is free when the message is begun, and stuck when the second half of what it names is
// entered: a commit has room for 16 (arena/cargo.cpp).
TEST(StoppedMeanwhile, a_message_that_names_many_objects_ends_in_time) {
  {
    const ByteQueue queue = ByteQueue::create();
    std::vector<Shared> named;
    for (int i = 0; i < 20; ++i) named.emplace_back(ByteQueue::create());
    struct Plan {
      std::atomic<int>& go = test::shared<std::atomic<int>>();
      test::Child child{0, {}};
    } plan;
    plan.child = test::fork_child([&] {
      FORKFUL_AWAIT(plan.go == 1);
      test::stop_at("journal.staged", 1);
      (void)ByteQueue::create();
    });
    const auto have_it_stop = [](void* context) {
      auto& made = *static_cast<Plan*>(context);
      made.go = 1;
      made.child.await_stopped();
    };
    kernel::arm_fault("cargo.loading", have_it_stop, &plan);
    WatchedWait wait(Deadline::in(milliseconds(50)));
    const auto message = make_message(1, 0, kSmall);
    const Bytes part(message);
    EXPECT_EQ(queue.put(std::span(&part, 1), wait, named), Put::timed_out);
    plan.child.signal(SIGCONT);
    EXPECT_EQ(plan.child.wait(), 0);
    EXPECT_EQ(test::put(queue, message), Put::sent);
    EXPECT_EQ(queue.size(), 1u);
  }
  arena::check_heap();
}

}  // namespace
}  // namespace forkful::bytes
