// What the kernel refuses: no descriptors are left, or no memory.

#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <forkful/forkful.hpp>
#include <string>
#include <vector>

#include "support/child.hpp"
#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

// Those open in this process, in order.
std::vector<int> open_descriptors() {
  std::vector<int> all;
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return all;
  while (const dirent* entry = ::readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != ::dirfd(folder)) all.push_back(fd);
  }
  ::closedir(folder);
  std::ranges::sort(all);
  return all;
}

// While it lives, `count` more descriptors can be opened.
class DescriptorsLeft {
 public:
  explicit DescriptorsLeft(std::size_t count) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    // The lowest free numbers are taken first.
    const std::vector<int> taken = open_descriptors();
    rlim_t limit = 0;
    for (std::size_t free = 0;; ++limit) {
      if (std::ranges::binary_search(taken, static_cast<int>(limit))) continue;
      if (free++ == count) break;
    }
    rlimit now = before_;
    now.rlim_cur = limit;
    ::setrlimit(RLIMIT_NOFILE, &now);
  }
  ~DescriptorsLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorsLeft(const DescriptorsLeft&) = delete;
  DescriptorsLeft& operator=(const DescriptorsLeft&) = delete;

 private:
  rlimit before_{};
};

// Tries `body` with 0, 1, 2 … descriptors left, until it succeeds. Each refusal is an
// OsError(EMFILE), and leaves no descriptor open. Returns how many refusals there were.
template <class Body>
int refusals(Body&& body) {
  const std::vector<int> before = open_descriptors();
  for (int count = 0; count < 64; ++count) {
    try {
      const DescriptorsLeft few(static_cast<std::size_t>(count));
      body();
      return count;
    } catch (const OsError& error) {
      EXPECT_EQ(error.error(), EMFILE) << error.what();
    }
    EXPECT_EQ(open_descriptors(), before) << "with " << count << " left";
  }
  ADD_FAILURE() << "never succeeded";
  return 0;
}

TEST(DescriptorLimit, refuses_a_pipe) {
  EXPECT_EQ(refusals([] { (void)Pipe(); }), 2);
  EXPECT_EQ(refusals([] { (void)Pipe({.duplex = false}); }), 2);
}

TEST(DescriptorLimit, refuses_shared_memory_and_leaves_no_name) {
  const std::string name = "forkful_test_" + std::to_string(::getpid()) + "_few";
  EXPECT_EQ(refusals([&] { const SharedMemory memory(create, 100, name); }), 1);
  EXPECT_EQ(refusals([&] {
              SharedMemory memory(create, 100, name);
              memory.persist();
            }),
            1);
  EXPECT_EQ(refusals([&] { const SharedMemory memory(name); }), 1);
  SharedMemory(name).unlink();
}

class DescriptorLimits : public AllContexts {};
FORKFUL_OVER_ALL_CONTEXTS(DescriptorLimits);

TEST_P(DescriptorLimits, refuse_a_start_and_the_connection_stays) {
  if (kAddressSanitizer) GTEST_SKIP() << "a sanitizer needs a descriptor to look at objects";
  const ProcessOptions options{.context = GetParam()};
  Process(options, [] {}).join();  // what stays open for good is open now
  auto [a, b] = Pipe();
  Process child = [&, &end = b] {
    std::optional<Process> started;
    EXPECT_GT(refusals([&] {
                EXPECT_TRUE(end.is_open());
                started.emplace(
                    options, [](Connection connection) { (void)connection.recv<int>(); },
                    std::move(end));
              }),
              0);
    return std::move(*started);
  }();
  EXPECT_FALSE(b.is_open());
  a.send(1);
  child.join();
}

TEST_P(DescriptorLimits, refuse_the_first_start_of_a_family_member) {
  if (kAddressSanitizer) GTEST_SKIP() << "a sanitizer needs a descriptor to look at objects";
  // In a process that has started none, by no server yet.
  Process child(
      {.context = Context::fork},
      [](int context) {
        std::optional<Process> started;
        Process({.context = Context::fork}, [] {}).join();  // its lifeline
        FORKFUL_MUST(refusals([&] {
                       started.emplace(ProcessOptions{.context = static_cast<Context>(context)},
                                       [] {});
                     }) > 0);
        FORKFUL_MUST(!testing::Test::HasFailure());
      },
      static_cast<int>(GetParam()));
  child.join();
  EXPECT_EQ(child.exit_code(), 0);
}

TEST(ThreadLimits, a_pool_without_a_thread_is_attended_by_whoever_waits) {
  auto child = fork_child([] {
    if (::geteuid() == 0) FORKFUL_MUST(::setuid(65534) == 0);  // the limit is none to root
    Pool pool({.processes = 1, .context = Context::fork});
    const auto twice = [](int i) { return 2 * i; };
    FORKFUL_MUST(pool.apply(twice, 1) == 2);
    rlimit before{};
    ::getrlimit(RLIMIT_NPROC, &before);
    const rlimit none{0, before.rlim_max};
    ::setrlimit(RLIMIT_NPROC, &none);
    auto waited_for = pool.apply_async(twice, 2);
    auto timed = pool.apply_async({.timeout = std::chrono::hours(1)}, twice, 3);
    FORKFUL_MUST(waited_for.get() == 4 && timed.get() == 6);
    auto followed = pool.apply_async(twice, 4);
    try {
      (void)std::move(followed).then([](int) {});
      FORKFUL_MUST(!"a callback needs a thread");
    } catch (const OsError& refused) {
      FORKFUL_MUST(refused.error() == EAGAIN);
    }
    (void)pool.apply_async(twice, 5);
    pool.close();
    pool.join();
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST_P(DescriptorLimits, of_processes_refuses_a_start_and_leaves_nothing_to_the_next_fork) {
  const ProcessOptions options{.context = GetParam()};
  auto child = fork_child([&] {
    Queue<int> queue;
    Process(options, [](Queue<int>& to) { to.put(1); }, queue).join();
    // The limit is none to root; a server that was started as root goes on.
    if (::geteuid() == 0 && GetParam() == Context::fork) FORKFUL_MUST(::setuid(65534) == 0);
    rlimit before{};
    ::getrlimit(RLIMIT_NPROC, &before);
    const rlimit none{0, before.rlim_max};
    ::setrlimit(RLIMIT_NPROC, &none);
    for (int i = 0; i < 3 && ::geteuid() != 0; ++i) {
      try {
        Process(options, [](Queue<int>& to) { to.put(2); }, queue).join();
        FORKFUL_MUST(GetParam() != Context::fork);
        FORKFUL_MUST(queue.get() == 2);
      } catch (const OsError& refused) {
        FORKFUL_MUST(refused.error() == EAGAIN);
      }
    }
    ::setrlimit(RLIMIT_NPROC, &before);
    const pid_t own = ::fork();
    if (own == 0) {
      queue.put(3);
      ::_exit(0);
    }
    FORKFUL_MUST(::waitpid(own, nullptr, 0) == own);
    Process again(options, [](Queue<int>& to) { to.put(4); }, queue);
    again.join();
    FORKFUL_MUST(again.exit_code() == 0);
    FORKFUL_MUST(queue.get() == 1 && queue.get() == 3 && queue.get() == 4);
    FORKFUL_MUST(queue.empty());
  });
  EXPECT_EQ(child.wait(), 0);
}

// In a child whose /dev/shm holds a megabyte; false when this user cannot have one.
bool has_small_shm() {
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("small", "/dev/shm", "tmpfs", 0, "size=1m") == 0;
}

TEST(MemoryLimit, refuses_shared_memory_at_its_creation_and_leaves_no_name) {
  constexpr int kCannot = 77;
  auto child = fork_child([] {
    if (!has_small_shm()) ::_exit(kCannot);
    int error = 0;
    for (const std::size_t size : {std::size_t{2} << 20, std::size_t{1} << 40}) {
      try {
        const SharedMemory memory(create, size);
      } catch (const OsError& refused) {
        error = refused.error();
      }
      FORKFUL_MUST(error == ENOSPC);
      FORKFUL_MUST(std::filesystem::is_empty("/dev/shm"));
    }
    const SharedMemory most(create, 1 << 20);
    std::ranges::fill(most.bytes(), std::byte{1});
    try {
      const SharedMemory more(create, 1);
      FORKFUL_MUST(false);
    } catch (const OsError& refused) {
      FORKFUL_MUST(refused.error() == ENOSPC);
    }
  });
  const int code = child.wait();
  if (code == kCannot) GTEST_SKIP() << "needs the right to mount";
  EXPECT_EQ(code, 0);
}

TEST(MemoryLimit, refuses_a_message_or_a_value_beyond_it_and_the_family_goes_on) {
  // More than the machine has, or the cgroup allows: only whoever grows the arena is refused.
  const Queue<std::string> queue;
  const auto refuses = [](auto make) {
    try {
      make();
    } catch (const OsError& error) {
      return error.error() == ENOSPC;
    }
    return false;
  };
  EXPECT_TRUE(refuses([] { (void)bytes::Cell::create(std::size_t{1} << 37); }));
  queue.put("x");
  EXPECT_EQ(queue.get(), "x");
}

}  // namespace
}  // namespace forkful::test
