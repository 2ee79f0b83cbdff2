// A program with rights that its caller lacks: the caller chose its environment.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "kernel/fd.hpp"
#include "process/marker.hpp"
#include "support/child.hpp"

namespace forkful::test {
namespace {

namespace fs = std::filesystem;
constexpr unsigned kNobody = 65534;

// This program, as one that anybody may execute with root's rights.
class SetuidProgram : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make such a program";
    fs::permissions(folder_, fs::perms(0755));
    fs::copy_file("/proc/self/exe", program_);
    fs::permissions(program_, fs::perms(04755));
    struct statvfs about{};
    ASSERT_EQ(::statvfs(program_.c_str(), &about), 0);
    if ((about.f_flag & ST_NOSUID) != 0) GTEST_SKIP() << "not in this file system";
  }
  ~SetuidProgram() override { fs::remove_all(folder_); }

  // What it says on stderr when nobody executes it with the marker in its environment.
  std::string execute_with(const char* marker) {
    auto ends = kernel::make_pipe();
    Child child = fork_child([&] {
      FORKFUL_MUST(::setgroups(0, nullptr) == 0);
      FORKFUL_MUST(::setgid(kNobody) == 0);
      FORKFUL_MUST(::setuid(kNobody) == 0);
      FORKFUL_MUST(::dup2(ends.write.get(), STDERR_FILENO) >= 0);
      ::setenv(process::kMarkerName, marker, 1);
      ::execl(program_.c_str(), "setuid", "--gtest_list_tests", nullptr);
    });
    EXPECT_EQ(child.wait(), 1);
    ends.write.reset();
    std::string text(4096, 0);
    const ssize_t got = ::read(ends.read.get(), text.data(), text.size());
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }

  std::string name_ = (fs::temp_directory_path() / "forkful-setuid-XXXXXX").string();
  fs::path folder_ = ::mkdtemp(name_.data());
  fs::path program_ = folder_ / "program";
};

TEST_F(SetuidProgram, does_not_become_what_its_callers_marker_says) {
  for (const char* marker : {"-1,900,901,902,903,-1,1,2,3", "900,901,902,903,904,-1,1,2,3"}) {
    EXPECT_NE(execute_with(marker).find("has rights of its file"), std::string::npos) << marker;
  }
}

}  // namespace
}  // namespace forkful::test
