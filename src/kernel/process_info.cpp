#include "kernel/process_info.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "kernel/error.hpp"

namespace forkful::kernel {
namespace {

// Reads at most `size` bytes of a small file without allocating; 0 where it cannot.
std::size_t read_small(const char* path, char* into, std::size_t size) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  std::size_t have = 0;
  while (have + 1 < size) {
    const ssize_t got = ::read(fd, into + have, size - 1 - have);
    if (got <= 0) break;
    have += static_cast<std::size_t>(got);
  }
  ::close(fd);
  into[have] = 0;
  return have;
}

std::uint64_t read_number(const std::string& path, std::uint64_t otherwise) {
  char text[64];
  if (read_small(path.c_str(), text, sizeof text) == 0 || std::strncmp(text, "max", 3) == 0) {
    return otherwise;
  }
  return std::strtoull(text, nullptr, 10);
}

// The smallest of limit - usage from `path` up to the root of its hierarchy.
std::uint64_t cgroup_left(const std::string& root, std::string path, const char* limit_file,
                          const char* usage_file) {
  std::uint64_t left = kNoLimit;
  for (;;) {
    const std::string folder = root + path + "/";
    const std::uint64_t limit = read_number(folder + limit_file, kNoLimit);
    if (limit < (kNoLimit >> 2)) {
      const std::uint64_t used = read_number(folder + usage_file, 0);
      left = std::min(left, used < limit ? limit - used : 0);
    }
    if (path.empty() || path == "/") return left;
    path.resize(path.rfind('/'));
  }
}

// The path of this process in the hierarchy whose controllers contain `controller` ("" is v2's).
bool cgroup_path(std::string_view controller, std::string& path) {
  char text[4096];
  if (read_small("/proc/self/cgroup", text, sizeof text) == 0) return false;
  for (char *save = nullptr, *line = strtok_r(text, "\n", &save); line != nullptr;
       line = strtok_r(nullptr, "\n", &save)) {
    std::string_view all(line);
    const auto first = all.find(':');
    const auto second = all.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view names = all.substr(first + 1, second - first - 1);
    if (controller.empty() ? names.empty() : names.find(controller) != std::string_view::npos) {
      path = all.substr(second + 1);
      return true;
    }
  }
  return false;
}

}  // namespace

int current_pid() { return ::getpid(); }

bool process_runs(int pid, std::int64_t seen_at_ns) {
  char path[32];
  char text[1024];
  std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
  if (read_small(path, text, sizeof text) == 0) {
    // No /proc, or no such process: the kernel decides.
    return ::kill(pid, 0) == 0 || errno == EPERM;
  }
  // The name may hold anything, ") " included: fields are counted from its last parenthesis.
  const char* at = std::strrchr(text, ')');
  if (at == nullptr || at[1] == 0) return true;
  at += 2;
  if (*at == 'Z' || *at == 'X') return false;
  for (int field = 3; field < 22 && at != nullptr; ++field) {
    at = std::strchr(at, ' ');
    if (at != nullptr) ++at;
  }
  if (at == nullptr) return true;
  const long tick_ns = 1'000'000'000 / ::sysconf(_SC_CLK_TCK);
  const std::int64_t started_ns = std::strtoll(at, nullptr, 10) * tick_ns;
  return seen_at_ns == 0 || started_ns <= seen_at_ns + tick_ns;
}

bool process_maps(int pid, std::uint64_t file) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/maps", pid);
  std::FILE* maps = std::fopen(path, "re");
  if (maps == nullptr) return true;
  char line[512];
  bool found = false;
  while (!found && std::fgets(line, sizeof line, maps) != nullptr) {
    // address, permissions, offset, device, inode
    const char* at = line;
    for (int field = 0; field < 4 && at != nullptr; ++field) {
      at = std::strchr(at, ' ');
      if (at != nullptr) ++at;
    }
    found = at != nullptr && std::strtoull(at, nullptr, 10) == file;
  }
  found = found || std::ferror(maps) != 0;
  std::fclose(maps);
  return found;
}

CpuSet affinity() {
  cpu_set_t set;
  static_assert(sizeof set == sizeof(CpuSet));
  CPU_ZERO(&set);
  CpuSet cpus;
  std::memset(&cpus, 0xff, sizeof cpus);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) std::memcpy(&cpus, &set, sizeof cpus);
  return cpus;
}

unsigned affinity_count() {
  // The kernel refuses a set that is smaller than its own.
  for (int cpus = CPU_SETSIZE; cpus <= (1 << 20); cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    const std::size_t size = CPU_ALLOC_SIZE(cpus);
    const bool known = ::sched_getaffinity(0, size, set) == 0;
    const int count = known ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (known) return static_cast<unsigned>(std::max(1, count));
    if (errno != EINVAL) break;
  }
  return 1;
}

unsigned cgroup_cpus() {
  double cpus = 1 << 20;
  std::string path;
  if (cgroup_path("", path)) {
    for (;;) {
      char text[64];
      if (read_small(("/sys/fs/cgroup" + path + "/cpu.max").c_str(), text, sizeof text) != 0) {
        char* rest = text;
        const double quota = std::strtod(text, &rest);  // "max" is no number
        const double period = std::strtod(rest, nullptr);
        if (quota > 0 && period > 0) cpus = std::min(cpus, quota / period);
      }
      if (path.empty() || path == "/") break;
      path.resize(path.rfind('/'));
    }
  }
  if (cgroup_path("cpu", path)) {
    const std::string folder = "/sys/fs/cgroup/cpu" + path + "/";
    const auto quota = static_cast<std::int64_t>(read_number(folder + "cpu.cfs_quota_us", 0));
    const auto period = static_cast<std::int64_t>(read_number(folder + "cpu.cfs_period_us", 0));
    if (quota > 0 && period > 0) {
      cpus = std::min(cpus, static_cast<double>(quota) / static_cast<double>(period));
    }
  }
  return std::max(1u, static_cast<unsigned>(cpus + 0.999));
}

MemoryLimits memory_limits() {
  MemoryLimits limits{kNoLimit, kNoLimit, kNoLimit};
  char text[4096];
  if (read_small("/proc/meminfo", text, sizeof text) != 0) {
    const auto field = [&](const char* name) {
      const char* at = std::strstr(text, name);
      return at != nullptr ? std::strtoull(at + std::strlen(name), nullptr, 10) << 10 : kNoLimit;
    };
    limits.machine = field("MemTotal:");
    limits.machine_left = field("MemAvailable:");
  }
  std::uint64_t& left = limits.cgroup_left;
  std::string path;
  if (cgroup_path("", path)) {
    left = std::min(left, cgroup_left("/sys/fs/cgroup", path, "memory.max", "memory.current"));
  }
  if (cgroup_path("memory", path)) {
    left = std::min(left, cgroup_left("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes",
                                      "memory.usage_in_bytes"));
  }
  return limits;
}

std::uint64_t oom_kills() {
  char text[1024];
  const auto counted_in = [&](const std::string& file) -> std::uint64_t {
    constexpr std::string_view kField = "oom_kill ";
    if (read_small(file.c_str(), text, sizeof text) == 0) return 0;
    for (const char* line = text; line != nullptr;) {
      if (std::strncmp(line, kField.data(), kField.size()) == 0) {
        return std::strtoull(line + kField.size(), nullptr, 10);
      }
      line = std::strchr(line, '\n');
      if (line != nullptr) ++line;
    }
    return 0;
  };
  std::string path;
  std::uint64_t kills = 0;
  if (cgroup_path("", path)) kills = counted_in("/sys/fs/cgroup" + path + "/memory.events");
  if (kills == 0 && cgroup_path("memory", path)) {
    kills = counted_in("/sys/fs/cgroup/memory" + path + "/memory.oom_control");
  }
  return kills;
}

FileIdentity file_identity(const char* path) {
  struct stat about{};
  if (::stat(path, &about) != 0) return {};
  return {about.st_dev, about.st_ino, static_cast<std::uint64_t>(about.st_size),
          std::int64_t{about.st_mtim.tv_sec} * 1'000'000'000 + about.st_mtim.tv_nsec};
}

Fd open_pidfd(int pid) {
  // Close-on-exec is a pidfd's nature.
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) throw_errno("pidfd_open", "process " + std::to_string(pid));
  return fd;
}

}  // namespace forkful::kernel
