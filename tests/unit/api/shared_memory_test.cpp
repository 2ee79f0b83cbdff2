// Shared memory with a name.

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <forkful/forkful.hpp>
#include <string>

#include "support/child.hpp"
#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

std::filesystem::path file_of(const std::string& name) { return "/dev/shm/" + name; }
bool exists(const std::string& name) { return std::filesystem::exists(file_of(name)); }

std::string own_name(const std::string& role) {
  return "forkful_test_" + std::to_string(::getpid()) + "_" + role;
}

template <class Body>
void expect_os_error(int expected, const std::string& object, Body&& body) {
  try {
    body();
    ADD_FAILURE() << "did not throw";
  } catch (const OsError& error) {
    EXPECT_EQ(error.error(), expected);
    EXPECT_NE(std::string(error.what()).find(object), std::string::npos) << error.what();
  }
}

class Naming : public AllContexts {};
FORKFUL_OVER_ALL_CONTEXTS(Naming);

TEST_P(Naming, a_process_attaches_memory_by_its_name) {
  const SharedMemory memory(create, 1000 * sizeof(int));
  std::ranges::fill(memory.as<int>(), 1);
  Process(
      {.context = GetParam()},
      [](const std::string& name) {
        const SharedMemory attached(name);
        for (int& each : attached.as<int>()) ++each;
      },
      memory.name())
      .join();
  EXPECT_EQ(std::ranges::count(memory.as<int>(), 2), 1000);
  EXPECT_TRUE(exists(memory.name()));
}

TEST(SharedMemories, are_zeroed_for_this_user_alone_and_of_the_size_asked_for) {
  const SharedMemory memory(create, 5000);
  EXPECT_EQ(memory.size(), 5000u);
  EXPECT_EQ(std::ranges::count(memory.bytes(), std::byte{}), 5000);
  EXPECT_TRUE(memory.name().starts_with("psm_")) << memory.name();
  struct stat about{};
  ASSERT_EQ(::stat(file_of(memory.name()).c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_EQ(about.st_size, 5000);
  EXPECT_GE(about.st_blocks * 512, 5000);  // all present: no fault later
  EXPECT_EQ(SharedMemory(memory.name()).size(), 5000u);
}

TEST(SharedMemories, of_the_creator_lose_their_name_with_it) {
  std::string name;
  {
    SharedMemory first(create, 10);
    name = first.name();
    {
      SharedMemory other(name);
      other = SharedMemory(name);
      const SharedMemory moved(std::move(other));
    }
    EXPECT_TRUE(exists(name));
    first.close();
    EXPECT_EQ(first.size(), 0u);
    EXPECT_TRUE(exists(name));
    SharedMemory moved(std::move(first));
    moved = SharedMemory(create, 10);
    EXPECT_FALSE(exists(name));
    name = moved.name();
  }
  EXPECT_FALSE(exists(name));
}

TEST(SharedMemories, that_persist_stay_until_they_are_unlinked) {
  const std::string name = own_name("persist");
  {
    SharedMemory memory(create, 10, name);
    memory.bytes()[3] = std::byte{7};
    memory.persist();
  }
  SharedMemory memory("/" + name);
  EXPECT_EQ(memory.name(), name);
  EXPECT_EQ(memory.bytes()[3], std::byte{7});
  memory.unlink();
  EXPECT_FALSE(exists(name));
  EXPECT_EQ(memory.bytes()[3], std::byte{7});
  expect_os_error(ENOENT, name, [&] { memory.unlink(); });
}

TEST(SharedMemories, a_name_is_had_by_one) {
  const std::string name = own_name("taken");
  const SharedMemory memory(create, 10, name);
  expect_os_error(EEXIST, name, [&] { const SharedMemory second(create, 10, name); });
  EXPECT_TRUE(exists(name));
}

TEST(SharedMemories, a_name_that_another_has_taken_over_is_left_to_it) {
  const std::string name = own_name("reused");
  {
    SharedMemory first(create, 10, name);
    SharedMemory(name).unlink();
    SharedMemory second(create, 10, name);
    second.persist();
  }
  EXPECT_TRUE(exists(name));
  SharedMemory(name).unlink();
}

TEST(SharedMemories, refuse_what_cannot_be) {
  expect_os_error(ENOENT, own_name("none"), [] { const SharedMemory none(own_name("none")); });
  EXPECT_THROW(SharedMemory(create, 0), std::invalid_argument);
  for (const char* name : {"/", "a/b", "..", "."}) {
    EXPECT_THROW(SharedMemory(create, 1, name), std::invalid_argument) << name;
    EXPECT_THROW(SharedMemory{std::string(name)}, std::invalid_argument) << name;
  }
  EXPECT_THROW(SharedMemory{std::string()}, std::invalid_argument);
  EXPECT_THROW(SharedMemory(create, 1, std::string(300, 'x')), OsError);
  const std::string name = own_name("huge");
  EXPECT_THROW(SharedMemory(create, ~std::size_t{0}, name), OsError);
  EXPECT_FALSE(exists(name));
}

TEST(SharedMemories, are_seen_as_whole_objects) {
  SharedMemory memory(create, 15);
  EXPECT_EQ(memory.as<double>().size(), 1u);
  EXPECT_EQ(memory.as<const char>().size(), 15u);
  using Large = std::array<double, 2>;
  EXPECT_THROW((void)memory.as<Large>(), std::length_error);
  memory.close();
  EXPECT_THROW((void)memory.as<char>(), std::length_error);
}

TEST(SharedMemories, inherited_by_a_fork_are_only_unmapped) {
  SharedMemory memory(create, 10);
  auto child = fork_child([&] { const SharedMemory inherited(std::move(memory)); });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_TRUE(exists(memory.name()));  // NOLINT(bugprone-use-after-move): moved elsewhere
  memory.bytes()[0] = std::byte{1};
}

TEST(SharedMemories, of_a_creator_that_is_killed_keep_their_name) {
  const std::string name = own_name("orphan");
  auto child = fork_child([&] {
    const SharedMemory memory(create, 10, name);
    memory.bytes()[0] = std::byte{3};
    die();
  });
  EXPECT_EQ(child.wait(), -SIGKILL);
  SharedMemory memory(name);
  EXPECT_EQ(memory.bytes()[0], std::byte{3});
  memory.unlink();
}

TEST(SharedMemories, cannot_be_attached_before_they_are_whole) {
  const std::string name = own_name("unborn");
  auto child = fork_child([&] {
    die_at("shared_memory.named");
    const SharedMemory memory(create, 10, name);
  });
  EXPECT_EQ(child.wait(), -SIGKILL);
  EXPECT_TRUE(exists(name));
  expect_os_error(ENOENT, name, [&] { const SharedMemory none(name); });
  EXPECT_EQ(::shm_unlink(name.c_str()), 0);
}

}  // namespace
}  // namespace forkful::test
