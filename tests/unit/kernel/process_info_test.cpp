// What the kernel says of processes.
#include "kernel/process_info.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "kernel/child.hpp"
#include "kernel/clock.hpp"
#include "kernel/memfd.hpp"
#include "support/child.hpp"

namespace forkful::kernel {
namespace {

TEST(ProcessRuns, tells_the_running_from_the_gone) {
  EXPECT_TRUE(process_runs(::getpid(), 0));
  EXPECT_TRUE(process_runs(::getpid(), boottime_ns()));
  test::Child child = test::fork_child([] {
    for (;;) ::pause();
  });
  const int pid = child.pid();
  EXPECT_TRUE(process_runs(pid, boottime_ns()));
  child.signal(SIGSTOP);
  child.await_stopped();
  EXPECT_TRUE(process_runs(pid, boottime_ns()));
  child.signal(SIGKILL);
  child.await_zombie();
  EXPECT_FALSE(process_runs(pid, boottime_ns()));
  child.wait();
  EXPECT_FALSE(process_runs(pid, boottime_ns()));
}

TEST(ProcessRuns, knows_a_pid_that_was_used_again) {
  constexpr std::int64_t kLongAgo = 1;  // ns after boot
  EXPECT_FALSE(process_runs(::getpid(), kLongAgo));
}

TEST(ProcessRuns, is_not_fooled_by_a_name) {
  test::Child child = test::fork_child([] {
    ::prctl(PR_SET_NAME, ") Z 1 (");
    for (;;) ::pause();
  });
  child.await_asleep();
  EXPECT_TRUE(process_runs(child.pid(), boottime_ns()));
}

TEST(HowItWent, is_told_of_a_zombie_and_of_one_that_was_waited_for) {
  const auto expect_told = [](test::Child child, Gone how) {
    const Fd pidfd = open_pidfd(child.pid());
    child.await_zombie();
    EXPECT_EQ(how_it_went(pidfd.get(), child.pid()), how);
    EXPECT_EQ(how_it_went(-1, child.pid()), how);
    const int code = child.wait_without_reaping();
    const Gone later = how_it_went(pidfd.get(), 0);
    EXPECT_TRUE(later == how || later == Gone::unknown);  // which an older kernel says
    EXPECT_EQ(exit_code_of(pidfd.get()).value_or(code), code);
  };
  expect_told(test::fork_child([] { ::_exit(0); }), Gone::exited);
  expect_told(test::fork_child([] { ::_exit(7); }), Gone::exited);
  expect_told(test::fork_child([] { ::raise(SIGKILL); }), Gone::killed);
  EXPECT_EQ(how_it_went(-1, 0), Gone::unknown);
}

// Such as one that has dropped its privileges.
TEST(HowItWent, is_not_taken_for_an_exit_where_the_kernel_does_not_tell) {
  test::Child observer = test::fork_child([] {
    constexpr unsigned kNobody = 65534;
    if (::geteuid() == 0) {  // who may look into every process
      FORKFUL_MUST(::setgid(kNobody) == 0);
      FORKFUL_MUST(::setuid(kNobody) == 0);
    }
    const auto must_not_be_taken_for = [](test::Child child, Gone how) {
      child.await_zombie();
      FORKFUL_MUST(how_it_went(-1, child.pid()) != how);
      const Fd pidfd = open_pidfd(child.pid());
      FORKFUL_MUST(how_it_went(pidfd.get(), child.pid()) != how);
      (void)child.wait_without_reaping();
    };
    must_not_be_taken_for(test::fork_child([] {
                            ::prctl(PR_SET_DUMPABLE, 0);
                            ::raise(SIGKILL);
                          }),
                          Gone::exited);
    must_not_be_taken_for(test::fork_child([] {
                            ::prctl(PR_SET_DUMPABLE, 0);
                            ::_exit(0);
                          }),
                          Gone::killed);
  });
  EXPECT_EQ(observer.wait(), 0);
}

TEST(ProcessMaps, tells_whether_a_file_is_mapped) {
  Fd file = make_memfd("forkful-test", 4096);
  const FileId number = file_of(file.get());
  EXPECT_TRUE(number);
  EXPECT_FALSE(process_maps(::getpid(), number));
  std::byte* memory = map_shared(file.get(), 0, 4096);
  file.reset();
  EXPECT_TRUE(process_maps(::getpid(), number));
  ::munmap(memory, 4096);
  EXPECT_FALSE(process_maps(::getpid(), number));
}

TEST(FileOf, no_file_is_none) {
  EXPECT_FALSE(file_of(-1));
  const Fd a = make_memfd("forkful-test", 1);
  const Fd b = make_memfd("forkful-test", 1);
  EXPECT_NE(file_of(a.get()), file_of(b.get()));
}

TEST(HeldBytes, are_seen_by_others_until_their_holder_ends) {
  const Fd file = make_memfd("forkful-test", 100);
  std::atomic<int>& held = test::shared<std::atomic<int>>();
  test::Child child = test::fork_child([&] {
    FORKFUL_MUST(hold_byte(file.get(), 7));
    held = 1;
    for (;;) ::pause();
  });
  FORKFUL_AWAIT(held == 1);
  EXPECT_TRUE(byte_is_held(file.get(), 7));
  EXPECT_FALSE(byte_is_held(file.get(), 8));
  child.signal(SIGKILL);
  child.await_zombie();
  FORKFUL_AWAIT(!byte_is_held(file.get(), 7));  // a zombie holds nothing
  EXPECT_FALSE(hold_byte(-1, 7));
  EXPECT_FALSE(byte_is_held(-1, 7));
}

TEST(HeldBytes, held_for_life_outlast_every_descriptor_and_no_process) {
  const Fd file = make_memfd("forkful-test", 100);
  std::atomic<int>& held = test::shared<std::atomic<int>>();
  std::atomic<bool>& done = test::shared<std::atomic<bool>>();
  test::Child child = test::fork_child([&] {
    FORKFUL_MUST(hold_byte_for_life(file.get(), 7));
    ::close(file.get());
    test::Child grandchild = test::fork_child([&] {
      ::prctl(PR_SET_PDEATHSIG, 0);
      held = 1;
      FORKFUL_AWAIT(done);
    });
    for (;;) ::pause();
  });
  FORKFUL_AWAIT(held == 1);
  EXPECT_TRUE(byte_is_held(file.get(), 7));
  child.signal(SIGKILL);
  child.await_zombie();
  // Its child, which lives on, has inherited nothing. Whoever reads the zombie's /proc at this
  // moment keeps its memory, and with it the lock, until it has read.
  FORKFUL_AWAIT(!byte_is_held(file.get(), 7));
  done = true;
  EXPECT_FALSE(hold_byte_for_life(-1, 7));
}

TEST(Memory, that_is_punched_reads_zero) {
  const Fd file = make_memfd("forkful-test", 1 << 20);
  std::byte* memory = map_shared(file.get(), 0, 1 << 20);
  memory[5000] = memory[500'000] = std::byte{1};
  punch_hole(memory + 4096, 4096);
  EXPECT_EQ(memory[5000], std::byte{0});
  EXPECT_EQ(memory[500'000], std::byte{1});
  ::munmap(memory, 1 << 20);
}

TEST(Memory, beside_what_is_punched_stays_where_the_kernels_pages_are_larger) {
  // Pages of 4 KiB, as the arena has them, where the kernel has 64 KiB.
  constexpr std::uint64_t kPage = 0x10000;
  EXPECT_EQ(whole_pages(0x11000, 0x30000, kPage), (PageRange{0x20000, 0x20000}));
  EXPECT_EQ(whole_pages(0x20000, 0x1f000, kPage), (PageRange{0x20000, 0x10000}));
  EXPECT_EQ(whole_pages(0x20000, 0xf000, kPage), PageRange{});
  EXPECT_EQ(whole_pages(0x21000, 0x1000, kPage), PageRange{});
  EXPECT_EQ(whole_pages(0x21000, 0x1000, 0x1000), (PageRange{0x21000, 0x1000}));

  const Fd file = make_memfd("forkful-test", 1 << 20);
  std::byte* memory = map_shared(file.get(), 0, 1 << 20);
  std::fill_n(memory, 1 << 20, std::byte{1});
  const auto page = static_cast<std::ptrdiff_t>(page_bytes());
  const auto zeros = [&] { return std::count(memory, memory + (1 << 20), std::byte{0}); };
  punch_hole(memory + page, page + page / 2);
  EXPECT_EQ(zeros(), page);
  punch_hole(memory + 3 * page + page / 2, page + page / 2);
  EXPECT_EQ(zeros(), 2 * page);
  EXPECT_EQ(std::count(memory + 4 * page, memory + 5 * page, std::byte{0}), page);
  ::munmap(memory, 1 << 20);
}

TEST(Address, may_be_any_that_a_program_has) {
  const int local = 0;
  static const int constant = 0;
  const auto memory = std::make_unique<int>();
  for (const int* each : {&local, &constant, static_cast<const int*>(memory.get())}) {
    const auto address = reinterpret_cast<std::uintptr_t>(each);
    EXPECT_TRUE(may_be_address(address) && is_mapped(address)) << std::hex << address;
  }
#if defined(__aarch64__)
  // Where the stack and libraries are. qemu-user has them lower than a kernel.
  EXPECT_TRUE(may_be_address(0xffff'f7ff'e000));
#else
  EXPECT_TRUE(may_be_address(0x7fff'f7ff'e000));
#endif
  EXPECT_FALSE(may_be_address(1000));
  EXPECT_FALSE(may_be_address(std::bit_cast<std::uint64_t>(1.0)));
  EXPECT_FALSE(may_be_address(0x7fff'ffff'ffff'ffff));
}

TEST(Memory, that_is_wiped_on_fork_reads_zero_in_a_raw_clone_too) {
  std::byte* page = map_wipe_on_fork(4096);
  page[0] = std::byte{1};
  test::Child fork = test::fork_child([&] { FORKFUL_MUST(page[0] == std::byte{0}); });
  EXPECT_EQ(fork.wait(), 0);
  test::Child clone = test::clone_child([&] { FORKFUL_MUST(page[0] == std::byte{0}); });
  EXPECT_EQ(clone.wait(), 0);
  EXPECT_EQ(page[0], std::byte{1});
  ::munmap(page, 4096);
}

// Files as the kernel shows cgroups by.
class Cgroups {
 public:
  explicit Cgroups(const std::string& of_process) { write("of_process", of_process); }
  ~Cgroups() { std::filesystem::remove_all(folder_); }
  Cgroups(const Cgroups&) = delete;
  Cgroups& operator=(const Cgroups&) = delete;
  void write(const std::string& file, const std::string& text) const {
    const std::filesystem::path path = folder_ / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text << '\n';
  }
  [[nodiscard]] unsigned cpus() const { return cgroup_cpus({folder_ / "of_process", folder_}); }

 private:
  std::string name_ = testing::TempDir() + "forkful-XXXXXX";
  std::filesystem::path folder_ = ::mkdtemp(name_.data());
};

TEST(CgroupCpus, are_those_of_the_cgroup_and_of_each_above_it) {
  const Cgroups two("0::/all/mine");
  EXPECT_EQ(two.cpus(), 1u << 20);
  two.write("all/mine/cpu.max", "max 100000");
  EXPECT_EQ(two.cpus(), 1u << 20);
  two.write("all/cpu.max", "250000 100000");
  EXPECT_EQ(two.cpus(), 3u);
  two.write("all/mine/cpu.max", "50000 100000");
  EXPECT_EQ(two.cpus(), 1u);

  // As in a container of cgroup v1: the path is the machine's, and the container's is the root.
  const Cgroups one("5:cpu,cpuacct:/docker/1234");
  EXPECT_EQ(one.cpus(), 1u << 20);
  one.write("cpu/cpu.cfs_quota_us", "150000");
  one.write("cpu/cpu.cfs_period_us", "100000");
  EXPECT_EQ(one.cpus(), 2u);
  one.write("cpu/cpu.cfs_quota_us", "-1");
  EXPECT_EQ(one.cpus(), 1u << 20);
}

TEST(CgroupCpus, are_asked_for_in_the_hierarchy_of_that_controller) {
  const Cgroups groups("7:cpuset:/others\n5:cpuacct,cpu:/mine\n1:name=cpu:/nobodys");
  groups.write("cpu/mine/cpu.cfs_quota_us", "400000");
  groups.write("cpu/mine/cpu.cfs_period_us", "100000");
  EXPECT_EQ(groups.cpus(), 4u);
}

TEST(Machine, has_cpus_and_memory) {
  const CpuSet cpus = affinity();
  EXPECT_TRUE(std::any_of(std::begin(cpus.words), std::end(cpus.words),
                          [](std::uint64_t word) { return word != 0; }));
  EXPECT_GE(cgroup_cpus(), 1u);
  const MemoryLimits limits = memory_limits();
  EXPECT_GT(limits.machine_left, 1u << 20);
  EXPECT_LE(limits.machine_left, limits.machine);
  EXPECT_GT(limits.cgroup_left, 1u << 20);
}

}  // namespace
}  // namespace forkful::kernel
