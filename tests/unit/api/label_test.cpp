// What shared objects are called: by a name of their own, or by the place where they are made.
#include <gtest/gtest.h>

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
