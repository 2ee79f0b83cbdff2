// What shared objects are called: by a name of their own, or by the place where they are made.
#include <gtest/gtest.h>
#include <signal.h>

#include <forkful/forkful.hpp>
#include <string>
#include <vector>

namespace forkful {
namespace {

std::string line(unsigned number) { return "label_test.cpp:" + std::to_string(number); }

TEST(Label, of_an_object_is_the_place_where_it_is_made) {
  const unsigned first = __LINE__ + 1;
  const Queue<int> queue;
  const JoinableQueue<int> joinable(10);
  const SimpleQueue<int> simple;
  const Lock lock;
  const RLock rlock;
  const Semaphore semaphore(2);
  const BoundedSemaphore bounded;
  const Event event;
  const Barrier barrier(3);
  EXPECT_EQ(queue.shared().label(), line(first));
  EXPECT_EQ(joinable.shared().label(), line(first + 1));
  EXPECT_EQ(simple.shared().label(), line(first + 2));
  EXPECT_EQ(lock.shared().label(), line(first + 3));
  EXPECT_EQ(rlock.shared().label(), line(first + 4));
  EXPECT_EQ(semaphore.shared().label(), line(first + 5));
  EXPECT_EQ(bounded.shared().label(), line(first + 6));
  EXPECT_EQ(event.shared().label(), line(first + 7));
  EXPECT_EQ(barrier.shared().label(), line(first + 8));
}

TEST(Label, of_a_value_is_its_lock_s_too) {
  const unsigned first = __LINE__ + 1;
  const Value<int> value{3};
  const Array<int> sized(std::size_t{4});
  const Array<int> listed{1, 2, 3};
  const Array ranged(std::vector<int>{1, 2, 3});
  EXPECT_EQ(value.get_lock().shared().label(), line(first));
  EXPECT_EQ(sized.get_lock().shared().label(), line(first + 1));
  EXPECT_EQ(listed.get_lock().shared().label(), line(first + 2));
  EXPECT_EQ(ranged.get_lock().shared().label(), line(first + 3));
}

TEST(Label, may_be_a_name) {
  const Queue<int> queue(100, "orders");
  const Lock lock(OnOwnerDeath::raise, std::string("of the orders"));
  EXPECT_EQ(queue.shared().label(), "orders");
  EXPECT_EQ(lock.shared().label(), "of the orders");
  const Queue<int> copy = queue;
  EXPECT_EQ(copy.shared().label(), "orders") << "it is the object's";
}

TEST(Label, that_is_long_is_cut) {
  const std::string text(200, 'x');
  EXPECT_EQ(Event(text).shared().label(), text.substr(0, Label::kMostBytes));
}

template <class E, class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Label, is_what_an_error_of_the_object_calls_it) {
  const Lock lock(OnOwnerDeath::raise, "till");
  const RLock rlock(OnOwnerDeath::raise, "book");
  const BoundedSemaphore permits(1, "permits");
  const Condition changed;
  const Barrier start(2, "start");
  const Queue<int> orders(0, "orders");
  const JoinableQueue<int> jobs(0, "jobs");
  EXPECT_EQ(message_of<Error>([&] { lock.unlock(); }), "unlock: the Lock \"till\" is not locked");
  EXPECT_EQ(message_of<Error>([&] { rlock.unlock(); }),
            "unlock: this thread does not hold the RLock \"book\"");
  EXPECT_EQ(message_of<Error>([&] { permits.release(); }),
            "release: the BoundedSemaphore \"permits\" has all its permits already");
  EXPECT_NE(message_of<Error>([&] { changed.notify_one(); }).find("Condition \"label_test.cpp:"),
            std::string::npos);
  start.abort();
  EXPECT_NE(message_of<BrokenBarrier>([&] { (void)start.wait(); }).find("Barrier \"start\""),
            std::string::npos);
  orders.shut_down();
  EXPECT_EQ(message_of<ShutDown>([&] { orders.put(1); }),
            "put: the Queue \"orders\" was shut down");
  EXPECT_EQ(message_of<ShutDown>([&] { (void)orders.get(); }),
            "get: the Queue \"orders\" was shut down and is empty");
  EXPECT_NE(message_of<Error>([&] { jobs.task_done(); }).find("JoinableQueue \"jobs\""),
            std::string::npos);
}

TEST(Label, is_what_a_lock_of_a_dead_owner_is_called) {
  const Lock lock(OnOwnerDeath::raise, "till");
  Process owner(
      [](const Lock& its) {
        its.lock();
        ::raise(SIGKILL);
      },
      lock);
  owner.join();
  EXPECT_NE(message_of<LockOwnerDied>([&] { lock.lock(); }).find("held the lock \"till\" died"),
            std::string::npos);
}

TEST(Label, that_is_none_leaves_the_kind_alone) {
  const Lock lock(OnOwnerDeath::raise, Label());
  EXPECT_EQ(message_of<Error>([&] { lock.unlock(); }), "unlock: the Lock is not locked");
}

struct Members {
  Event event = {};
  Lock lock;
};

TEST(Label, of_a_member_object_is_in_the_program) {
  const Members made;
  EXPECT_EQ(made.event.shared().label().rfind("label_test.cpp:", 0), 0u);
  EXPECT_EQ(made.lock.shared().label().rfind("label_test.cpp:", 0), 0u);
}

std::string label_of(const Queue<int>& queue) { return queue.shared().label(); }

TEST(Label, is_known_to_the_whole_family) {
  Pool pool(1);
  const Queue<int> queue(0, "known to all");
  EXPECT_EQ(pool.apply(label_of, queue), "known to all");
}

}  // namespace
}  // namespace forkful
