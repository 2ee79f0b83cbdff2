#include "chaos/storm.hpp"

#include <gtest/gtest.h>
#include <signal.h>

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

void print_waits(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) {
    const fs::path process = "/proc/" + std::to_string(pid);
    std::error_code gone;
    for (const auto& task : fs::directory_iterator(process / "task", gone)) {
      std::fprintf(stderr, "process %d thread %s: state %c, in %s, system call %s\n", pid,
                   task.path().filename().c_str(), state_in(task),
                   first_line(task.path() / "wchan").c_str(),
                   first_line(task.path() / "syscall").c_str());
    }
    if (gone) std::fprintf(stderr, "process %d is gone\n", pid);
    const std::string stacks = "command -v gdb >/dev/null && timeout 30 gdb -p " +
                               std::to_string(pid) +
                               " -batch -ex 'thread apply all bt' 2>/dev/null | grep -E '^(#|Thr)'";
    std::fflush(stderr);
    // NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe): the shell finds gdb, or does not
    if (std::system((stacks + " >&2").c_str()) != 0) continue;
  }
}

void expect_flat_heap(std::uint64_t before) {
  constexpr std::uint64_t kPagesThatStay = 64 << 10;
  arena::check_heap();
  EXPECT_LE(arena::heap_use().used_bytes, before + kPagesThatStay);
}

Storm::Storm(std::string name, long strikes, Subject subject)
    : name_(std::move(name)),
      subject_(std::move(subject)),
      random_(test::seed()),
      strikes_left_(strikes),
      seconds_(test::from_environment("FORKFUL_CHAOS_SECONDS", 0)) {
  if (seconds_ != 0) strikes_left_ = std::numeric_limits<long>::max();
}

std::uint32_t Storm::draw(std::uint32_t bound) {
  return static_cast<std::uint32_t>(random_()) % bound;
}

bool Storm::rages() {
  // Why: the strike is to come at a random time.
  std::this_thread::sleep_for(
      microseconds(draw(static_cast<std::uint32_t>(most_pause_.count()) + 1)));
  look("the storm");
  const bool over = --strikes_left_ < 0 ||
                    (seconds_ != 0 && Clock::now() - begin_ > std::chrono::seconds(seconds_));
  continue_stopped(over ? Clock::time_point::max() : Clock::now());
  return !over;
}

void Storm::await(const char* what, const std::function<bool()>& done) {
  progressed_ = Clock::now();
  while (!done()) {
    look(what);
    // Why: a poll of what other processes do; nothing rings for it.
    std::this_thread::sleep_for(microseconds(200));
  }
}

void Storm::look(const char* what) {
  const auto now = Clock::now();
  const std::uint64_t progress = subject_.progress();
  worst_silence_ = std::max(worst_silence_, now - progressed_);
  if (progress != progress_) {
    progress_ = progress;
    progressed_ = now;
  } else if (now - progressed_ > kPatience) {
    std::fprintf(stderr, "chaos: %s: nothing has happened for %lld s during: %s\n", name_.c_str(),
                 static_cast<long long>(kPatience.count()), what);
    report("STALLED");
    print_waits(subject_.pids());
    std::abort();
  }
}

void Storm::kill(pid_t pid, int signal) {
  std::erase_if(stopped_, [&](const Stopped& each) { return each.pid == pid; });
  ::kill(pid, signal);
  // Another signal than SIGKILL reaches a stopped process when it is continued.
  if (signal != SIGKILL) ::kill(pid, SIGCONT);
  ++kills_;
}

void Storm::stop(pid_t pid) {
  constexpr std::uint32_t kMostMilliseconds = 30;
  if (is_stopped(pid)) return;
  ::kill(pid, SIGSTOP);
  stopped_.push_back({pid, Clock::now() + milliseconds(1 + draw(kMostMilliseconds))});
  ++stops_;
}

bool Storm::is_stopped(pid_t pid) const {
  return std::any_of(stopped_.begin(), stopped_.end(),
                     [&](const Stopped& each) { return each.pid == pid; });
}

void Storm::continue_stopped(Clock::time_point now) {
  std::erase_if(stopped_, [&](const Stopped& each) {
    if (each.until > now) return false;
    ::kill(each.pid, SIGCONT);
    return true;
  });
}

void Storm::report(const std::string& counts) const {
  std::printf("chaos: %s: seed=%u kills=%ld stops=%ld %s worst_silence_ms=%lld\n", name_.c_str(),
              test::seed(), kills_, stops_, counts.c_str(),
              static_cast<long long>(duration_cast<milliseconds>(worst_silence_).count()));
  std::fflush(stdout);
}

}  // namespace forkful::chaos
