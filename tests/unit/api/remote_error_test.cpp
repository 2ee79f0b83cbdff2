// Where an exception of another process was thrown.

#include <gtest/gtest.h>
#include <unistd.h>

#include <forkful/errors.hpp>
#include <forkful/pool.hpp>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>

#include "unit/api/contexts.hpp"

namespace forkful::test {

// Not in an anonymous namespace, and not inlined, so that they have names in the symbol table.
[[gnu::noinline]] int innermost(int number) {
  if (number >= 0) throw std::out_of_range("number " + std::to_string(number));
  return number;
}
[[gnu::noinline]] int outer(int number) { return innermost(number) + 1; }
[[gnu::noinline]] int catches_and_throws(int number) {
  try {
    return innermost(number) + 1;
  } catch (const std::exception&) {
    throw std::runtime_error("another one");
  }
}
[[gnu::noinline]] int rethrows(int number) {
  try {
    return innermost(number) + 1;
  } catch (const std::exception&) {
    throw;
  }
}
struct Unreadable {
  int number = 0;
};

}  // namespace forkful::test

template <>
struct forkful::codec<forkful::test::Unreadable> {
  static void write(Writer& to, const test::Unreadable& value) { to.raw(value.number); }
  static test::Unreadable read(Reader& from) { throw Error(std::to_string(from.raw<int>())); }
};

namespace forkful::test {
namespace {

class RemoteStack : public AllContexts {
 protected:
  Pool pool_{{.processes = 1, .context = GetParam()}};

  // The stack of what f(argument) throws in a worker.
  template <class F, class A>
  std::string stack_of(F f, const A& argument) {
    try {
      pool_.apply(f, argument);
    } catch (const std::exception& error) {
      const RemoteInfo* info = remote_info(error);
      EXPECT_NE(info, nullptr);
      if (info == nullptr) return "";
      EXPECT_NE(info->pid, ::getpid());
      return info->stack();
    }
    ADD_FAILURE() << "nothing was thrown";
    return "";
  }
};
FORKFUL_OVER_ALL_CONTEXTS(RemoteStack);

TEST_P(RemoteStack, names_the_functions_from_the_throw_to_the_task) {
  const std::string stack = stack_of(outer, 5);
  const auto inner = stack.find("forkful::test::innermost(int) in unit_api+0x");
  ASSERT_NE(inner, std::string::npos) << stack;
  EXPECT_NE(stack.find("forkful::test::outer(int)", inner), std::string::npos) << stack;
  EXPECT_EQ(stack.rfind("#0 ", 0), 0u) << stack;
}

TEST_P(RemoteStack, ends_with_the_function_that_was_called) {
  const std::string stack = stack_of(outer, 5);
  EXPECT_EQ(stack.find("forkful::v0::"), std::string::npos) << stack;
  EXPECT_EQ(stack.find("std::"), std::string::npos) << stack;
}

TEST_P(RemoteStack, shows_one_of_our_frames_where_the_function_was_inlined_in_it) {
  const std::string stack = stack_of(
      [](int number) __attribute__((always_inline)) { return std::vector{1}.at(number); }, 5);
  const auto ours = stack.find(" forkful::v0::detail::");
  ASSERT_NE(ours, std::string::npos) << stack;
  EXPECT_EQ(stack.find('\n', ours), stack.size() - 1) << stack;
}

TEST(RemoteErrors, of_this_process_have_no_remote_info) {
  EXPECT_EQ(remote_info(RemoteError("made here")), nullptr);
}

TEST(RemoteErrors, have_plain_type_names) {
  Pool pool(1);
  try {
    pool.apply([] { throw 42; });
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_EQ(typeid(error), typeid(RemoteError));
  }
}

TEST_P(RemoteStack, is_of_the_exception_that_left_the_task) {
  const std::string stack = stack_of(catches_and_throws, 5);
  EXPECT_NE(stack.find("catches_and_throws"), std::string::npos) << stack;
  EXPECT_EQ(stack.find("innermost"), std::string::npos) << stack;
}

TEST_P(RemoteStack, of_a_rethrown_exception_begins_where_it_was_rethrown) {
  EXPECT_NE(stack_of(rethrows, 5).find("rethrows"), std::string::npos);
}

TEST_P(RemoteStack, of_an_argument_that_cannot_be_read_is_not_an_older_one) {
  EXPECT_NE(stack_of(outer, 5), "");
  const std::string stack = stack_of([](const Unreadable&) { return 0; }, Unreadable{3});
  EXPECT_EQ(stack.find("innermost"), std::string::npos) << stack;
  EXPECT_NE(stack.find("Unreadable"), std::string::npos) << stack;
}

TEST_P(RemoteStack, is_kept_when_an_exception_passes_through_a_pool_in_the_worker) {
  const std::string stack = stack_of(
      [](int number) {
        Pool nested({.processes = 1});
        return nested.apply(outer, number);
      },
      5);
  EXPECT_NE(stack.find("innermost"), std::string::npos) << stack;
}

TEST_P(RemoteStack, of_something_that_is_no_exception_is_there_too) {
  try {
    pool_.apply([] { throw 42; });
    FAIL();
  } catch (const RemoteError& error) {
    EXPECT_NE(std::string(error.what()).find("int"), std::string::npos);
    EXPECT_NE(remote_info(error)->stack(), "");
  }
}

}  // namespace
}  // namespace forkful::test
