// A member killed at any instruction of a change of a dict: the dict is as before or as after, it
// is whole, and the next caller goes on.
//
//   FORKFUL_STEPS=100000 tests every instruction, where CI tests some.
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "arena/heap.hpp"
#include "arena/membership.hpp"
#include "support/child.hpp"
#include "support/stepper.hpp"
#include "unit/state/texts.hpp"

namespace forkful::test {
namespace {

constexpr long kMostPoints = 40;

using Contents = std::vector<std::pair<std::string, std::string>>;

Contents contents(const Texts& dict) {
  dict.check();
  Contents all;
  for (const std::string& key : dict.keys()) all.emplace_back(key, dict.get(key).value_or("?"));
  return all;
}

class DictKilledAtAnyInstruction : public testing::Test {
 protected:
  void SetUp() override {
    if (kThreadSanitizer) GTEST_SKIP() << "it steps through the sanitizer";
    arena::join_family();
  }

  // A dict that `fill` has filled; the victim does `change` to it.
  static void kill_everywhere(const std::function<void(const Texts&)>& fill,
                              const std::function<void(const Texts&)>& change) {
    Contents before;
    Contents after;
    {
      const Texts dict;
      fill(dict);
      before = contents(dict);
      change(dict);
      after = contents(dict);
    }
    const std::uint64_t used = used_now();
    const Texts* dict = nullptr;
    const auto try_at = [&](long steps) {
      const Texts fresh;
      dict = &fresh;
      fill(fresh);
      step_and_kill(steps, [&] { change(*dict); });
      const Contents now = contents(fresh);
      ASSERT_TRUE(now == before || now == after) << "killed after " << steps;
      // It is no worse off than another one.
      change(fresh);
      fresh.set("one more", "value");
      EXPECT_EQ(fresh.get("one more"), "value");
      fresh.check();
    };
    const Texts whole;
    dict = &whole;
    fill(whole);
    at_many_instructions(kMostPoints, [&] { change(*dict); }, try_at);
    whole.clear();
    EXPECT_LE(used_now(), used + (8 << 10));
  }

 private:
  static std::uint64_t used_now() {
    arena::tidy_heap();
    arena::check_heap();
    return arena::heap_use().used_bytes;
  }
};

void fill_some(const Texts& dict) {
  for (const std::string key : {"a", "b", "c", "d"}) dict.set(key, "value of " + key);
}
void fill_many(const Texts& dict, int count) {
  for (int i = 0; i < count; ++i) dict.set(std::to_string(i), "v");
}

TEST_F(DictKilledAtAnyInstruction, of_setting_a_value_in_its_record) {
  kill_everywhere(fill_some, [](const Texts& dict) { dict.set("b", "another"); });
}
TEST_F(DictKilledAtAnyInstruction, of_setting_a_value_in_a_cell) {
  kill_everywhere(fill_some, [](const Texts& dict) { dict.set("b", std::string(300, 'x')); });
}
TEST_F(DictKilledAtAnyInstruction, of_setting_a_value_in_a_run) {
  kill_everywhere(fill_some, [](const Texts& dict) { dict.set("b", std::string(5000, 'x')); });
}
TEST_F(DictKilledAtAnyInstruction, of_setting_a_short_value_after_one_in_a_run) {
  kill_everywhere(
      [](const Texts& dict) {
        fill_some(dict);
        dict.set("b", std::string(9000, 'x'));
      },
      [](const Texts& dict) { dict.set("b", "short"); });
}
TEST_F(DictKilledAtAnyInstruction, of_inserting) {
  kill_everywhere(fill_some, [](const Texts& dict) { dict.set("e", "value"); });
}
TEST_F(DictKilledAtAnyInstruction, of_inserting_a_value_in_a_run) {
  kill_everywhere(fill_some, [](const Texts& dict) { dict.set("e", std::string(5000, 'x')); });
}
TEST_F(DictKilledAtAnyInstruction, of_inserting_with_a_chunk_and_a_larger_segment) {
  kill_everywhere([](const Texts& dict) { fill_many(dict, 7); },
                  [](const Texts& dict) { dict.set("e", std::string(900, 'x')); });
}
TEST_F(DictKilledAtAnyInstruction, of_erasing) {
  kill_everywhere(fill_some, [](const Texts& dict) { dict.erase("b"); });
}
TEST_F(DictKilledAtAnyInstruction, of_erasing_a_value_in_a_run) {
  kill_everywhere(
      [](const Texts& dict) {
        fill_some(dict);
        dict.set("c", std::string(9000, 'x'));
      },
      [](const Texts& dict) { dict.erase("c"); });
}
TEST_F(DictKilledAtAnyInstruction, of_taking_the_last) {
  kill_everywhere(fill_some, [](const Texts& dict) { (void)dict.pop_last(); });
}
TEST_F(DictKilledAtAnyInstruction, of_splitting_a_segment_and_deepening_the_directory) {
  kill_everywhere([](const Texts& dict) { fill_many(dict, 447); },
                  [](const Texts& dict) { dict.set("e", "value"); });
}
TEST_F(DictKilledAtAnyInstruction, of_clearing) {
  kill_everywhere([](const Texts& dict) { fill_many(dict, 100); },
                  [](const Texts& dict) { dict.clear(); });
}
TEST_F(DictKilledAtAnyInstruction, of_clearing_values_in_runs) {
  kill_everywhere(
      [](const Texts& dict) {
        fill_some(dict);
        dict.set("c", std::string(9000, 'x'));
        dict.set("e", std::string(9000, 'y'));
      },
      [](const Texts& dict) { dict.clear(); });
}

}  // namespace
}  // namespace forkful::test
