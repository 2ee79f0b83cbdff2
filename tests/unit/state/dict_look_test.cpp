// Looks at a dict without its lock, while others change it between any two of their loads.
#include <gtest/gtest.h>

#include <array>
#include <functional>

#include "kernel/fault.hpp"
#include "support/child.hpp"
#include "unit/state/texts.hpp"

namespace forkful::test {
namespace {

constexpr std::array<kernel::FaultPoint, 5> kPoints = {
    "dict.look.root", "dict.look.entry", "dict.look.record", "dict.look.value", "dict.look.read"};

struct Case {
  const char* name;
  std::function<void(const Texts&)> change;
  std::optional<std::string> after;  // the value of "b"
};

const std::string kBefore(300, 'b');

// Each fills the cells that it has made free with something else.
void refill(const Texts& dict) {
  for (int i = 0; i < 40; ++i) dict.set("again " + std::to_string(i), std::string(300, 'z'));
}

const std::array kCases = {
    Case{"short_value", [](const Texts& dict) { dict.set("b", "short"), refill(dict); }, "short"},
    Case{"value_in_another_cell",
         [](const Texts& dict) { dict.set("b", std::string(310, 'c')), refill(dict); },
         std::string(310, 'c')},
    Case{"value_in_a_run",
         [](const Texts& dict) { dict.set("b", std::string(5000, 'c')), refill(dict); },
         std::string(5000, 'c')},
    Case{"erased", [](const Texts& dict) { (void)dict.erase("b"), refill(dict); }, std::nullopt},
    Case{"erased_and_set_anew",
         [](const Texts& dict) {
           (void)dict.erase("b");
           refill(dict);
           dict.set("b", "anew");
         },
         "anew"},
    Case{"moved_by_splits",
         [](const Texts& dict) {
           for (int i = 0; i < 3000; ++i) dict.set(std::to_string(i), "x");
         },
         kBefore},
    Case{"cleared", [](const Texts& dict) { dict.clear(); }, std::nullopt},
    Case{"cleared_and_filled",
         [](const Texts& dict) {
           dict.clear();
           for (int i = 0; i < 3000; ++i) dict.set(std::to_string(i), "x");
         },
         std::nullopt},
    Case{"cleared_and_set_at_the_same_place",
         [](const Texts& dict) {
           dict.clear();
           dict.set("a", "first");
           dict.set("b", std::string(300, 'd'));
         },
         std::string(300, 'd')},
};

class DictLookBesideAChange : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, DictLookBesideAChange, testing::ValuesIn(kCases),
                         [](const auto& each) { return std::string(each.param.name); });

TEST_P(DictLookBesideAChange, finds_what_was_or_what_is) {
  for (const kernel::FaultPoint& point : kPoints) {
    const Texts dict;
    dict.set("a", "first");
    dict.set("b", kBefore);
    std::function<void()> change = [&] { GetParam().change(dict); };
    kernel::arm_fault(
        point, [](void* context) { (*static_cast<std::function<void()>*>(context))(); }, &change);
    const auto found = dict.get("b");
    EXPECT_TRUE(found == kBefore || found == GetParam().after) << point.name();
    EXPECT_EQ(dict.get("b"), GetParam().after);
    dict.check();
  }
}

TEST(DictLook, of_a_reader_that_is_killed_leaves_nothing_to_repair) {
  for (const kernel::FaultPoint& point : kPoints) {
    const Texts dict;
    dict.set("a", "first");
    dict.set("b", kBefore);
    Child reader = fork_child([&] {
      die_at(point);
      (void)dict.get("b");
    });
    EXPECT_EQ(reader.wait(), -SIGKILL);
    EXPECT_TRUE(dict.set("b", "another"));
    EXPECT_EQ(dict.get("b"), "another");
    dict.check();
  }
}

// In a commit, so that a version is odd until somebody repairs it.
TEST(DictLook, takes_the_lock_after_a_writer_that_was_killed_in_the_middle) {
  for (const kernel::FaultPoint& point :
       {kernel::FaultPoint("journal.committed"), kernel::FaultPoint("journal.applying")}) {
    const Texts dict;
    dict.set("b", "before");
    Child writer = fork_child([&] {
      die_at(point);
      dict.set("b", "after");
    });
    EXPECT_EQ(writer.wait_without_reaping(), -SIGKILL);
    const auto found = dict.get("b");
    EXPECT_TRUE(found == "before" || found == "after");
    dict.set("c", "another");
    EXPECT_EQ(dict.get("b"), "after");
    dict.check();
  }
}

}  // namespace
}  // namespace forkful::test
