// Kill storms: processes work in a loop while one after the other is killed or stopped at random,
// and all that they do is checked.
//
//   Storm storm("queue", 300, [&] { return … how much was done …; });
//   while (storm.rages()) … strike somebody …
//
// A storm makes so many strikes, so that CI's is short on any machine; with FORKFUL_CHAOS_SECONDS
// it lasts so long instead. Its choices follow FORKFUL_SEED; what the processes do meanwhile does
// not, so that the same seed makes the same kind of storm, not the same one. A thread watches the
// progress and continues whoever was stopped: whoever strikes may have to wait for one of those.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace forkful::chaos {

using Clock = std::chrono::steady_clock;

// Nothing takes so long, on a loaded machine either: whoever is silent for longer hangs.
inline constexpr std::chrono::seconds kPatience{20};

// Says what each thread of this process and of its children waits for, on stderr: its state, the
// function of the kernel and the system call; its stack too where gdb is installed.
void print_waits();

// The heap is whole, and of its bytes no more are in use than the `before` of check_heap(). Small
// blocks that are free do not count: their pages stay the heap's, as many as were once in use
// together.
void expect_flat_heap(std::uint64_t before);

class Storm {
 public:
  // `progress` says how much was done so far.
  Storm(std::string name, long strikes, std::function<std::uint64_t()> progress);
  ~Storm();
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;

  // Waits for the moment of the next strike; false when the storm is over. Nobody is stopped then.
  [[nodiscard]] bool rages();
  // Waits until `done()`; `what` it is for is said where that hangs.
  void await(const char* what, const std::function<bool()>& done);

  // A number below `bound`.
  std::uint32_t draw(std::uint32_t bound);
  // True in so many of a hundred cases.
  bool chance(std::uint32_t percent) { return draw(100) < percent; }

  // How long between two strikes, at most.
  void set_most_pause(std::chrono::microseconds pause) { most_pause_ = pause; }
  void kill(pid_t pid, int signal);
  // Stops a process, and continues it after some milliseconds.
  void stop(pid_t pid);
  [[nodiscard]] long kills() const { return kills_; }

  // The storm's line, with what else was counted.
  void report(const std::string& counts) const;

 private:
  struct Stopped {
    pid_t pid;
    Clock::time_point until;
  };
  void watch(const std::stop_token& end);
  // Those whose time has come.
  void continue_stopped(Clock::time_point now);

  std::string name_;
  std::function<std::uint64_t()> progress_;
  std::mt19937 random_;
  Clock::time_point begin_ = Clock::now();
  long strikes_left_;
  long seconds_;
  std::chrono::microseconds most_pause_{3'000};
  std::mutex mutex_;
  std::vector<Stopped> stopped_;  // guarded by mutex_
  std::atomic<long> kills_{0};
  std::atomic<long> stops_{0};
  std::atomic<const char*> doing_{"the storm"};
  std::atomic<long> worst_silence_ms_{0};
  std::jthread watcher_;
};

}  // namespace forkful::chaos
