#include "chaos/storm.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>
#include <utility>

#include "arena/heap.hpp"
#include "support/child.hpp"

namespace forkful::chaos {
namespace {

namespace fs = std::filesystem;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

// "R", "S", "T" …, from a stat file.
char state_in(const fs::path& task) {
  const std::string text = first_line(task / "stat");
  const auto at = text.rfind(')');
  return at != std::string::npos && at + 2 < text.size() ? text[at + 2] : '?';
}

}  // namespace

void print_waits() {
  std::vector<std::string> pids{std::to_string(::getpid())};
  for (const auto& task : fs::directory_iterator("/proc/self/task")) {
    std::ifstream children(task.path() / "children");
    for (std::string pid; children >> pid;) pids.push_back(pid);
  }
  for (const std::string& pid : pids) {
    std::error_code gone;
    for (const auto& task : fs::directory_iterator("/proc/" + pid + "/task", gone)) {
      std::fprintf(stderr, "process %s thread %s: state %c, in %s, system call %s\n", pid.c_str(),
                   task.path().filename().c_str(), state_in(task),
                   first_line(task.path() / "wchan").c_str(),
                   first_line(task.path() / "syscall").c_str());
    }
    const std::string stacks = "command -v gdb >/dev/null && timeout 30 gdb -p " + pid +
                               " -batch -ex 'thread apply all bt' 2>/dev/null"
                               " | grep -E '^(#|Thr)' >&2";
    std::fflush(stderr);
    // NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe): the shell finds gdb, or does not
    if (std::system(stacks.c_str()) != 0) continue;
  }
}

void expect_flat_heap(std::uint64_t before) { EXPECT_LE(arena::check_heap(), before); }

Storm::Storm(std::string name, long strikes, std::function<std::uint64_t()> progress)
    : name_(std::move(name)),
      progress_(std::move(progress)),
      random_(test::seed()),
      strikes_left_(strikes),
      seconds_(test::from_environment("FORKFUL_CHAOS_SECONDS", 0)),
      watcher_([this](const std::stop_token& end) { watch(end); }) {
  if (seconds_ != 0) strikes_left_ = std::numeric_limits<long>::max();
}

Storm::~Storm() = default;

std::uint32_t Storm::draw(std::uint32_t bound) {
  return static_cast<std::uint32_t>(random_()) % bound;
}

bool Storm::rages() {
  // Why: the strike is to come at a random time.
  std::this_thread::sleep_for(
      microseconds(draw(static_cast<std::uint32_t>(most_pause_.count()) + 1)));
  const bool over = --strikes_left_ < 0 ||
                    (seconds_ != 0 && Clock::now() - begin_ > std::chrono::seconds(seconds_));
  if (over) continue_stopped(Clock::time_point::max());
  return !over;
}

void Storm::await(const char* what, const std::function<bool()>& done) {
  doing_ = what;
  while (!done()) {
    // Why: a poll of what other processes do; nothing notifies of it.
    std::this_thread::sleep_for(microseconds(200));
  }
}

void Storm::watch(const std::stop_token& end) {
  std::uint64_t before = progress_();
  auto progressed = Clock::now();
  const char* doing = doing_;
  while (!end.stop_requested()) {
    // Why: the interval at which the progress is looked at.
    std::this_thread::sleep_for(milliseconds(1));
    const auto now = Clock::now();
    continue_stopped(now);
    const std::uint64_t after = progress_();
    const auto silence = duration_cast<milliseconds>(now - progressed);
    worst_silence_ms_ = std::max<long>(worst_silence_ms_, silence.count());
    if (after != before || doing != doing_) {
      before = after;
      doing = doing_;
      progressed = now;
    } else if (silence > kPatience) {
      std::fprintf(stderr, "chaos: %s: nothing has happened for %lld s during: %s\n", name_.c_str(),
                   static_cast<long long>(kPatience.count()), doing);
      report("STALLED");
      print_waits();
      std::abort();
    }
  }
}

void Storm::kill(pid_t pid, int signal) {
  {
    const std::lock_guard guard(mutex_);
    std::erase_if(stopped_, [&](const Stopped& each) { return each.pid == pid; });
  }
  ::kill(pid, signal);
  // Another signal than SIGKILL reaches a stopped process when it is continued.
  if (signal != SIGKILL) ::kill(pid, SIGCONT);
  ++kills_;
}

void Storm::stop(pid_t pid) {
  constexpr std::uint32_t kMostMilliseconds = 30;
  const auto until = Clock::now() + milliseconds(1 + draw(kMostMilliseconds));
  const std::lock_guard guard(mutex_);
  const auto is_it = [&](const Stopped& each) { return each.pid == pid; };
  if (std::any_of(stopped_.begin(), stopped_.end(), is_it)) return;
  ::kill(pid, SIGSTOP);
  stopped_.push_back({pid, until});
  ++stops_;
}

void Storm::continue_stopped(Clock::time_point now) {
  const std::lock_guard guard(mutex_);
  std::erase_if(stopped_, [&](const Stopped& each) {
    if (each.until > now) return false;
    ::kill(each.pid, SIGCONT);
    return true;
  });
}

void Storm::report(const std::string& counts) const {
  std::printf("chaos: %s: seed=%u kills=%ld stops=%ld %s worst_silence_ms=%ld\n", name_.c_str(),
              test::seed(), kills_.load(), stops_.load(), counts.c_str(), worst_silence_ms_.load());
  std::fflush(stdout);
}

}  // namespace forkful::chaos
