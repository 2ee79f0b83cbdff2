// Descriptors close themselves and are close-on-exec from birth; the futex keeps its deadline.
#include "kernel/fd.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <forkful/errors.hpp>
#include <thread>

#include "kernel/clock.hpp"
#include "kernel/error.hpp"
#include "kernel/futex.hpp"
#include "kernel/memfd.hpp"
#include "kernel/reopen.hpp"
#include "support/child.hpp"

namespace forkful::kernel {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(KeptDescriptor, lies_out_of_the_way) {
  const KeptFd kept(make_memfd("forkful-test", 1));
  EXPECT_GE(kept.get(), 900);
  EXPECT_NE(::fcntl(kept.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(KeptDescriptor, that_the_program_has_closed_is_not_used_nor_what_has_its_number) {
  KeptFd kept(make_memfd("forkful-test", 1));
  const int number = kept.get();
  const Fd other = make_memfd("forkful-test", 1);
  ::close(number);
  EXPECT_FALSE(kept);
  EXPECT_EQ(::dup2(other.get(), number), number);
  EXPECT_EQ(kept.get(), -1);
  kept.reset();
  EXPECT_TRUE(is_open(number));
  ::close(number);
}

TEST(KeptDescriptor, is_restored_by_another_of_its_file_and_by_no_other) {
  KeptFd kept(make_memfd("forkful-test", 1));
  Fd same = duplicate(kept.get());
  const int number = kept.get();
  kept.restore(duplicate(kept.get()));  // one that is there is kept
  EXPECT_EQ(kept.get(), number);
  const Fd other = make_memfd("forkful-test", 1);
  EXPECT_EQ(::dup2(other.get(), number), number);
  kept.restore(duplicate(other.get()));
  EXPECT_EQ(kept.get(), -1);
  kept.restore(std::move(same));
  EXPECT_TRUE(kept);
  EXPECT_EQ(file_of(number), file_of(other.get()));
  ::close(number);
}

TEST(ReopenedFile, is_had_from_a_process_that_has_it_open) {
  const Fd file = make_memfd("forkful-test", 8);
  const std::uint64_t word = 0x1234567890abcdef;
  ASSERT_EQ(::pwrite(file.get(), &word, sizeof word, 0), 8);
  const Fd found = open_as_in(::getpid(), file_of(file.get()));
  ASSERT_TRUE(found);
  EXPECT_NE(found.get(), file.get());
  EXPECT_EQ(word_in(found.get(), 0), word);
  EXPECT_EQ(word_in(found.get(), 8), 0U);  // behind its end
  EXPECT_FALSE(open_as_in(::getpid(), FileId{1, 1}));
}

TEST(ReopenedFile, is_had_by_a_mapping_where_the_kernel_grants_it) {
  Fd file = make_memfd("forkful-test", page_bytes());
  const FileId id = file_of(file.get());
  std::byte* mapped = map_shared(file.get(), 0, page_bytes());
  file.reset();
  const Fd found = open_mapped(id);
  // Only with a capability, which root may lack in a container.
  EXPECT_EQ(file_of(found.get()), found ? id : FileId{});
  ::munmap(mapped, page_bytes());
  EXPECT_FALSE(open_mapped(id));
}

TEST(KeptDescriptor, finds_a_place_within_a_small_limit) {
  test::Child child = test::fork_child([] {
    constexpr rlim_t kFew = 24;
    const rlimit limit{kFew, kFew};
    FORKFUL_MUST(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    const KeptFd kept(make_memfd("forkful-test", 1));
    FORKFUL_MUST(kept && kept.get() < static_cast<int>(kFew));
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST(Descriptor, is_closed_by_its_last_owner) {
  int number = -1;
  {
    Fd first = make_memfd("forkful-test", 1);
    number = first.get();
    Fd second = std::move(first);
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that is the test
    EXPECT_TRUE(is_open(number));
    first = std::move(second);
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
  Fd kept = make_memfd("forkful-test", 1);
  const int released = kept.release();
  EXPECT_FALSE(kept);
  EXPECT_TRUE(is_open(released));
  ::close(released);
}

TEST(Descriptor, is_close_on_exec_until_it_is_listed) {
  PipeEnds pipe = make_pipe();
  for (const int fd : {pipe.read.get(), pipe.write.get()}) {
    EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
    keep_on_exec(fd);
    EXPECT_EQ(::fcntl(fd, F_GETFD), 0);
    close_on_exec(fd);
    EXPECT_EQ(::fcntl(fd, F_GETFD), FD_CLOEXEC);
  }
  EXPECT_THROW(keep_on_exec(-1), OsError);
}

TEST(OsErrors, say_what_was_refused) {
  try {
    throw_error(ENOSPC, "growth", "the arena");
  } catch (const OsError& error) {
    EXPECT_EQ(error.error(), ENOSPC);
    EXPECT_NE(std::string(error.what()).find("growth of the arena"), std::string::npos);
  }
}

TEST(Futex, returns_for_each_reason) {
  std::atomic<std::uint32_t> word{1};
  EXPECT_EQ(futex_wait(word, 2, monotonic_ns() + 1'000'000'000), FutexWake::changed);
  const std::int64_t until = monotonic_ns() + 10'000'000;
  EXPECT_EQ(futex_wait(word, 1, until), FutexWake::timed_out);
  EXPECT_GE(monotonic_ns(), until);
  std::thread sleeper([&] {
    while (word == 1) (void)futex_wait(word, 1, monotonic_ns() + 50'000'000);
  });
  word = 2;
  futex_wake(word, 1);
  sleeper.join();
}

}  // namespace
}  // namespace forkful::kernel
