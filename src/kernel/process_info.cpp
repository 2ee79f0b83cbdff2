// What /proc, cgroups and pidfds say of a process and of the machine.
//
// Everything is best effort: /proc may be missing, hidden or of another pid namespace, and each
// answer has a value for "not known". What the header calls async-signal-safe is asked in a
// signal's handler (process/lifelines.cpp), so it does not allocate.
#include "kernel/process_info.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "kernel/clock.hpp"
#include "kernel/error.hpp"

namespace forkful::kernel {
namespace {

// Reads at most `size` bytes of a small file without allocating; 0 where it cannot.
// Reads on until the end, since one read() may give less than there is.
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

// `otherwise` also for "max", by which cgroup files say that there is no limit.
std::uint64_t read_number(const std::string& path, std::uint64_t otherwise) {
  char text[64];
  if (read_small(path.c_str(), text, sizeof text) == 0 || std::strncmp(text, "max", 3) == 0) {
    return otherwise;
  }
  return std::strtoull(text, nullptr, 10);
}

// Calls `look` with the folder of a cgroup and of each above it, up to the root of its hierarchy: a
// limit of any of them bounds the process. In a container the path may be the machine's, of which
// only the root is shown there: it is the container's own cgroup.
template <class Look>
void look_upwards(const std::string& root, std::string path, Look&& look) {
  for (;;) {
    look(root + path + "/");
    if (path.empty() || path == "/") return;
    path.resize(path.rfind('/'));
  }
}

// The smallest of limit - usage from `path` up to the root of its hierarchy.
std::uint64_t cgroup_left(const std::string& root, const std::string& path, const char* limit_file,
                          const char* usage_file) {
  std::uint64_t left = kNoLimit;
  look_upwards(root, path, [&](const std::string& folder) {
    const std::uint64_t limit = read_number(folder + limit_file, kNoLimit);
    // cgroup v1 says "no limit" by a number near 2^63.
    if (limit >= (kNoLimit >> 2)) return;
    const std::uint64_t used = read_number(folder + usage_file, 0);
    left = std::min(left, used < limit ? limit - used : 0);
  });
  return left;
}

// Whether a list of names that commas part has the name: "cpu,cpuacct" has no "cpuset".
bool is_among(std::string_view name, std::string_view names) {
  while (!names.empty()) {
    const std::string_view each = names.substr(0, names.find(','));
    if (each == name) return true;
    names.remove_prefix(std::min(each.size() + 1, names.size()));
  }
  return false;
}

// The path of this process in the hierarchy that has the controller ("" is v2's, which names none).
// Lines of /proc/self/cgroup are id:controllers:path.
bool cgroup_path(const CgroupFiles& files, std::string_view controller, std::string& path) {
  char text[4096];
  if (read_small(files.of_process.c_str(), text, sizeof text) == 0) return false;
  for (char *save = nullptr, *line = strtok_r(text, "\n", &save); line != nullptr;
       line = strtok_r(nullptr, "\n", &save)) {
    std::string_view all(line);
    const auto first = all.find(':');
    const auto second = all.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view names = all.substr(first + 1, second - first - 1);
    if (controller.empty() ? names.empty() : is_among(controller, names)) {
      path = all.substr(second + 1);
      return true;
    }
  }
  return false;
}

}  // namespace

int current_pid() { return ::getpid(); }

// By the kernel's word at the execution: user ids that the program has changed since say nothing.
bool has_rights_of_its_file() { return ::getauxval(AT_SECURE) != 0; }

std::uint64_t pid_namespace() {
  struct stat about{};
  return ::stat("/proc/self/ns/pid", &about) == 0 ? about.st_ino : 0;
}

namespace {

// The fields of /proc/PID/stat that follow the process's name, from its state on.
class ProcessStat {
 public:
  explicit ProcessStat(int pid) {
    char path[32];
    std::snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (read_small(path, text_, sizeof text_) == 0) return;
    // The name may hold anything, ") " included: fields are counted from its last parenthesis.
    const char* at = std::strrchr(text_, ')');
    if (at != nullptr && at[1] == ' ') fields_ = at + 2;
  }
  explicit operator bool() const { return fields_ != nullptr; }
  [[nodiscard]] bool ended() const { return *fields_ == 'Z' || *fields_ == 'X'; }
  // By its number in proc(5), 3 or more; nullptr where the kernel has no such field.
  [[nodiscard]] const char* field(int number) const {
    const char* at = fields_;
    for (int each = 3; each < number && at != nullptr; ++each) {
      at = std::strchr(at, ' ');
      if (at != nullptr) ++at;
    }
    return at;
  }

 private:
  char text_[1024];
  const char* fields_ = nullptr;
};

// How a zombie ended, which the kernel tells those who may look into the process; others read 0.
// Kernel: whoever has the same user may not look into a process that has dropped its privileges,
// not even when both did so together. Its namespaces are shown to those who may, and to nobody
// else.
Gone how_zombie_ended(int pid, const ProcessStat& stat) {
  constexpr int kExitCode = 52;
  constexpr int kSignalBits = 0x7f;
  const char* field = stat.field(kExitCode);
  const int status = field != nullptr ? static_cast<int>(std::strtol(field, nullptr, 10)) : 0;
  if ((status & kSignalBits) != 0) return Gone::killed;
  if (status != 0) return Gone::exited;
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
  struct stat about{};
  return ::stat(path, &about) == 0 ? Gone::exited : Gone::unknown;
}

// <linux/pidfd.h> of 6.15, written down here since the headers may be older than the kernel.
struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroup;
  std::uint32_t ids[11];
  std::int32_t status;
};
constexpr std::uint64_t kInfoExit = 8;
#define FORKFUL_PIDFD_GET_INFO _IOWR(0xFF, 11, PidfdInfo)

// False where the kernel does not know the question; `status` is set, as waitpid() has it, once
// somebody has waited for the process.
bool ask_status(int pidfd, std::optional<int>& status) {
  PidfdInfo info{};
  info.mask = kInfoExit;
  if (pidfd < 0 || ::ioctl(pidfd, FORKFUL_PIDFD_GET_INFO, &info) != 0) return false;
  if ((info.mask & kInfoExit) != 0) status = info.status;
  return true;
}

// A pidfd is readable from when its process is a zombie, and for ever after.
bool has_ended(int pidfd) {
  pollfd look{pidfd, POLLIN, 0};
  return ::poll(&look, 1, 0) == 1;
}

}  // namespace

bool process_runs(int pid, std::int64_t seen_at_ns) {
  constexpr int kStartTime = 22;
  const ProcessStat stat(pid);
  // No /proc, or no such process. A zombie takes signals too, but its pidfd tells that it has
  // ended.
  if (!stat) {
    if (::kill(pid, 0) != 0 && errno != EPERM) return false;
    const Fd process = try_open_pidfd(pid);
    return !process || !has_ended(process.get());
  }
  if (stat.ended()) return false;
  const char* at = stat.field(kStartTime);
  if (at == nullptr) return true;
  // A tick more than was seen, since starts are told in ticks: a pid that was used again within one
  // is taken for the old process, which costs a wait and gives no living member up.
  const long tick_ns = 1'000'000'000 / ::sysconf(_SC_CLK_TCK);
  const std::int64_t started_ns = std::strtoll(at, nullptr, 10) * tick_ns;
  return seen_at_ns == 0 || started_ns <= seen_at_ns + tick_ns;
}

bool process_maps(int pid, const FileId& file) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/%d/maps", pid);
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  // Not known. False would give a living member up.
  if (fd < 0) return true;
  // Read line by line into little memory: the file may have thousands of lines, and this runs in a
  // signal's handler.
  // Where a line is longer, what is beyond is the mapped file's path, which is not needed.
  char line[128];  // the beginning of one: address, permissions, offset, device, inode
  std::size_t length = 0;
  const auto names_file = [&] {
    line[std::min(length, sizeof line - 1)] = 0;
    const char* at = line;
    for (int field = 0; field < 3 && at != nullptr; ++field) {
      at = std::strchr(at, ' ');
      if (at != nullptr) ++at;
    }
    if (at == nullptr) return false;
    char* rest = nullptr;
    const auto major = static_cast<unsigned>(std::strtoul(at, &rest, 16));
    if (*rest != ':') return false;
    const auto minor = static_cast<unsigned>(std::strtoul(rest + 1, &rest, 16));
    return makedev(major, minor) == file.device && std::strtoull(rest, nullptr, 10) == file.inode;
  };
  bool found = false;
  ssize_t got = 0;
  for (char part[2048]; !found && (got = ::read(fd, part, sizeof part)) > 0;) {
    for (ssize_t i = 0; i < got && !found; ++i) {
      if (part[i] == '\n') {
        found = names_file();
        length = 0;
      } else {
        if (length < sizeof line) line[length] = part[i];
        ++length;
      }
    }
  }
  ::close(fd);
  // A read that failed says nothing, as above.
  return found || got < 0;
}

Gone how_it_went(int pidfd, int pid) {
  // A process gives up its memory, which is what the caller has seen, some time before it ends; one
  // that executes another program gives it up too, and does not end.
  // A millisecond apart: 0.3 s, a guess at how long a process of many GiB takes to be taken apart.
  constexpr int kLooks = 300;
  bool ended = false;
  for (int look = 0; look < kLooks; ++look) {
    // This first: what is seen of it afterwards is what is left of it.
    ended = pidfd >= 0 ? has_ended(pidfd) : pid == 0 || !process_runs(pid, 0);
    std::optional<int> status;
    const bool tells = ask_status(pidfd, status);
    // In the order of how sure each answer is: the pidfd is of this very process, while the pid may
    // be another's once somebody has waited for it.
    if (status) return WIFSIGNALED(*status) ? Gone::killed : Gone::exited;
    if (const ProcessStat stat(pid); pid != 0 && stat && stat.ended()) {
      const Gone how = how_zombie_ended(pid, stat);
      if (how != Gone::unknown) return how;
    }
    if (ended && !tells) return Gone::unknown;
    pause_ms(1);
  }
  return ended ? Gone::unknown : Gone::executed;
}

std::optional<int> exit_code_of(int pidfd) {
  std::optional<int> status;
  (void)ask_status(pidfd, status);
  if (!status) return std::nullopt;
  return WIFSIGNALED(*status) ? -WTERMSIG(*status) : WEXITSTATUS(*status);
}

CpuSet affinity() {
  // Where the kernel's set is larger than this one it answers EINVAL, and all bits stay set.
  cpu_set_t set;
  static_assert(sizeof set == sizeof(CpuSet));
  CPU_ZERO(&set);
  CpuSet cpus;
  std::memset(&cpus, 0xff, sizeof cpus);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) std::memcpy(&cpus, &set, sizeof cpus);
  return cpus;
}

unsigned affinity_count() {
  // The kernel refuses a set that is smaller than its own. A million CPUs are more than any kernel
  // knows, so it ends there.
  for (int cpus = CPU_SETSIZE; cpus <= (1 << 20); cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    const std::size_t size = CPU_ALLOC_SIZE(cpus);
    const bool known = ::sched_getaffinity(0, size, set) == 0;
    const int count = known ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (known) return static_cast<unsigned>(std::max(1, count));
    if (errno != EINVAL) break;
  }
  return 1;  // this thread runs on some CPU
}

unsigned cgroup_cpus(const CgroupFiles& files) {
  // No quota: more than any machine has, so that min() with the other counts leaves those.
  double cpus = 1 << 20;
  const auto grant = [&](double quota, double period) {
    if (quota > 0 && period > 0) cpus = std::min(cpus, quota / period);
  };
  std::string path;
  if (cgroup_path(files, "", path)) {
    look_upwards(files.root, path, [&](const std::string& folder) {
      char text[64];
      if (read_small((folder + "cpu.max").c_str(), text, sizeof text) == 0) return;
      char* rest = text;
      const double quota = std::strtod(text, &rest);  // "max" is no number
      grant(quota, std::strtod(rest, nullptr));
    });
  }
  // A machine may have hierarchies of both versions, and a controller is in one of them only.
  if (cgroup_path(files, "cpu", path)) {
    look_upwards(files.root + "/cpu", path, [&](const std::string& folder) {
      // Signed: a quota of -1 is none.
      const auto number = [&](const char* file) {
        return static_cast<double>(static_cast<std::int64_t>(read_number(folder + file, 0)));
      };
      grant(number("cpu.cfs_quota_us"), number("cpu.cfs_period_us"));
    });
  }
  // Rounded up: half a CPU can still run one process.
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
  const CgroupFiles files;
  std::string path;
  if (cgroup_path(files, "", path)) {
    left = std::min(left, cgroup_left(files.root, path, "memory.max", "memory.current"));
  }
  if (cgroup_path(files, "memory", path)) {
    left = std::min(left, cgroup_left(files.root + "/memory", path, "memory.limit_in_bytes",
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
  const CgroupFiles files;
  std::string path;
  std::uint64_t kills = 0;
  if (cgroup_path(files, "", path)) kills = counted_in(files.root + path + "/memory.events");
  if (kills == 0 && cgroup_path(files, "memory", path)) {
    kills = counted_in(files.root + "/memory" + path + "/memory.oom_control");
  }
  return kills;
}

FileIdentity file_identity(const char* path) {
  struct stat about{};
  if (::stat(path, &about) != 0) return {};
  return {about.st_dev, about.st_ino, static_cast<std::uint64_t>(about.st_size),
          std::int64_t{about.st_mtim.tv_sec} * 1'000'000'000 + about.st_mtim.tv_nsec};
}

Fd try_open_pidfd(int pid) {
  // Close-on-exec is a pidfd's nature.
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

Fd open_pidfd(int pid) {
  Fd fd = try_open_pidfd(pid);
  if (!fd) throw_errno("pidfd_open", "process " + std::to_string(pid));
  return fd;
}

int count_threads() {
  DIR* tasks = ::opendir("/proc/self/task");
  if (tasks == nullptr) return 0;
  int count = 0;
  while (const dirent* each = ::readdir(tasks)) count += each->d_name[0] != '.' ? 1 : 0;
  ::closedir(tasks);
  return count;
}

User this_user() {
  User user;
  auto& [uid, euid, suid, gid, egid, sgid] = user.ids;
  (void)::getresuid(&uid, &euid, &suid);
  (void)::getresgid(&gid, &egid, &sgid);
  // Another thread may change them in between; then it is none of both, and compares unequal.
  user.groups.resize(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
  if (!user.groups.empty()) {
    const int count = ::getgroups(static_cast<int>(user.groups.size()), user.groups.data());
    user.groups.resize(static_cast<std::size_t>(std::max(count, 0)));
  }
  return user;
}

}  // namespace forkful::kernel
