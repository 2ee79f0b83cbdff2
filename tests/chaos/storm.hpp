// Kill storms: processes work in a loop while one after the other is killed or stopped at random,
// and all that they do is checked.
//
//   Storm storm("queue", 300, subject);
//   while (storm.rages()) … strike somebody …
//
// A storm makes so many strikes, so that CI's is short on any machine; with FORKFUL_CHAOS_SECONDS
// it lasts so long instead. Its choices follow FORKFUL_SEED; what the processes do meanwhile does
// not, so that the same seed makes the same kind of storm, not the same one.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace forkful::chaos {

using Clock = std::chrono::steady_clock;

// Nothing takes so long, on a loaded machine either: who is silent for longer hangs.
inline constexpr std::chrono::seconds kPatience{20};

// What a storm looks at: how much was done so far, and by which processes.
struct Subject {
  std::function<std::uint64_t()> progress;
  std::function<std::vector<pid_t>()> pids;
};

// Says what each thread of these processes waits for, on stderr: its state, the function of the
// kernel and the system call; its stack too where gdb is installed.
void print_waits(const std::vector<pid_t>& pids);

// The heap is whole, and holds no more than `before`, but for some pages of small blocks.
void expect_flat_heap(std::uint64_t before);

class Storm {
 public:
  Storm(std::string name, long strikes, Subject subject);
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;

  // Waits for the moment of the next strike, and looks at the progress meanwhile; false when the
  // storm is over. Nobody is stopped behind that.
  [[nodiscard]] bool rages();
  // Watches the progress until `done()`.
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
  [[nodiscard]] bool is_stopped(pid_t pid) const;
  [[nodiscard]] long kills() const { return kills_; }

  // The storm's line, with what else was counted.
  void report(const std::string& counts) const;

 private:
  struct Stopped {
    pid_t pid;
    Clock::time_point until;
  };
  void look(const char* what);
  void continue_stopped(Clock::time_point now);

  std::string name_;
  Subject subject_;
  std::mt19937 random_;
  Clock::time_point begin_ = Clock::now();
  long strikes_left_;
  long seconds_;
  std::chrono::microseconds most_pause_{3'000};
  std::vector<Stopped> stopped_;
  long kills_ = 0;
  long stops_ = 0;
  std::uint64_t progress_ = 0;
  Clock::time_point progressed_ = begin_;
  Clock::duration worst_silence_{};
};

}  // namespace forkful::chaos
