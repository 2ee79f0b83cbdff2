// Memory as C++ has it, for threads that run one at a time: a store may be seen late, and in every
// order that the declared memory orders allow. README.md says what this model is, and is not.
//
// Each atomic word (a *location*) keeps its *messages*, the values stored, in modification order.
// A thread has a *view*: for each location the oldest message that it may still read. A release
// store attaches its thread's view to its message, and whoever reads that with acquire joins it.
// Plain accesses are not simulated but checked: one that is not ordered after the conflicting
// accesses of other threads is a data race, and fails the schedule.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "random.hpp"

namespace forkful::schedules {

inline constexpr unsigned kMostThreads = 8;

// For each thread, how many of its releases are known to have happened before.
using Clock = std::array<std::uint32_t, kMostThreads>;

// The place of a message in its location's modification order.
using Time = std::uint32_t;

struct View {
  std::vector<Time> seen;  // by location
  Clock clock{};

  void clear();
  void join(const View& other);
  [[nodiscard]] Time of(std::uint32_t location) const {
    return location < seen.size() ? seen[location] : 0;
  }
  void raise(std::uint32_t location, Time to);
};

// The __ATOMIC_… numbers, which are those that the compiler's instrumentation passes.
constexpr bool acquires(int order) {
  return order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE;
}
constexpr bool releases(int order) { return order >= __ATOMIC_RELEASE; }

class Memory {
 public:
  explicit Memory(Random& random) : random_(&random), views_(kMostThreads) {}

  // Forgets all: what lies in memory is the oldest message of each location. Of 256 loads so many
  // read an old message where they may, and of 256 stores so many come before ones that are there.
  void begin(Random& random, std::uint32_t stale, std::uint32_t late);

  std::uint64_t load(unsigned thread, std::uintptr_t at, unsigned size, int order);
  void store(unsigned thread, std::uintptr_t at, unsigned size, std::uint64_t value, int order);
  // A read-modify-write that stores `change(what it read)`, which it returns.
  template <class Change>
  std::uint64_t modify(unsigned thread, std::uintptr_t at, unsigned size, int order,
                       Change&& change) {
    const std::uint64_t was = newest(thread, at, size, order);
    replace(thread, at, size, change(was), order);
    return was;
  }
  // A compare-exchange: where it fails, `expected` is what it read. It may fail by reading an old
  // message, and a weak one for no reason.
  bool exchange_if(unsigned thread, std::uintptr_t at, unsigned size, std::uint64_t& expected,
                   std::uint64_t desired, bool weak, int order, int failure);
  // Checks `bytes` that are read or written plainly.
  void plain(unsigned thread, std::uintptr_t at, std::uint64_t bytes, bool writes);

  // A thread's call into the kernel that wakes, and one that looks at a word before it sleeps: of
  // two such calls the later one knows what the earlier one knew.
  void kernel_wakes(unsigned thread) {
    kernel_.join(views_[thread]);
    ordered_[thread] = operations_;
  }
  std::uint64_t kernel_looks(unsigned thread, std::uintptr_t at, unsigned size);

  // `thread` gets to know all that `other` has done.
  void know_all_of(unsigned thread, unsigned other) {
    views_[thread].join(views_[other]);
    ordered_[thread] = operations_;
  }

  // What went wrong, if anything did.
  [[nodiscard]] const char* race() const { return race_; }
  [[nodiscard]] std::uintptr_t race_at() const { return race_at_; }
  // Whether the last load read what was not the newest.
  [[nodiscard]] bool was_stale() const { return was_stale_; }

 private:
  struct Message {
    Time at;
    bool by_modification;  // nothing can come between it and the one that it read
    std::uint32_t view;    // an index of snapshots_; 0: none
    std::uint64_t value;
  };
  struct Location {
    std::uintptr_t at = 0;
    unsigned size = 0;
    Time sequential = 0;  // of the newest that a sequentially consistent access has met
    // How many operations there had been when it rose, and what it was before.
    std::vector<std::pair<std::uint64_t, Time>> rises;
    Time last = 0;
    std::vector<Message> messages;
  };
  enum Kind : unsigned { plain_read, plain_write, atomic_read, atomic_write };
  // Of each thread the clock at its last access of a kind to these four bytes.
  struct Marks {
    std::uintptr_t at = 0;
    std::uint32_t round = 0;
    std::uint32_t location = 0;  // whose they are; 0: nobody's
    std::array<Clock, 4> last{};
  };

  static constexpr unsigned kGranule = 4;
  static constexpr Time kStep = 1 << 8;  // leaves room for messages in between
  static constexpr std::size_t kMostMessages = 24;
  static constexpr std::uint32_t kMostStaleInARow = 16;

  Marks& marks_at(std::uintptr_t at);
  void check(unsigned thread, Marks& marks, Kind kind);
  Location& location(unsigned thread, std::uintptr_t at, unsigned size, Kind kind);
  [[nodiscard]] std::uint32_t index_of(const Location& location) const {
    return static_cast<std::uint32_t>(&location - locations_.data());
  }
  void restart(Location& location);
  // A sequentially consistent operation has met the message of that time.
  void meet(Location& location, Time time);
  // What those had met that come before any sequentially consistent load which `thread` does now.
  [[nodiscard]] Time met_before(unsigned thread, const Location& location) const;
  // The oldest message that a read, or the one that a store's must follow, may be.
  // `met`: what it must not be older than, beside what the thread has seen.
  [[nodiscard]] std::size_t oldest(unsigned thread, const Location& location, Time met) const;
  std::uint64_t read(unsigned thread, Location& location, std::size_t message, int order);
  std::uint64_t newest(unsigned thread, std::uintptr_t at, unsigned size, int order);
  void replace(unsigned thread, std::uintptr_t at, unsigned size, std::uint64_t value, int order);
  std::uint32_t snapshot(unsigned thread, std::uint32_t joined);
  bool is_stale_now(std::size_t first, const Location& location);

  Random* random_;
  std::uint32_t stale_ = 0;
  std::uint32_t late_ = 0;
  std::uint32_t stale_in_a_row_ = 0;
  bool was_stale_ = false;
  const char* race_ = nullptr;
  std::uintptr_t race_at_ = 0;

  // Operations, and of each thread the last one that later loads cannot pass.
  std::uint64_t operations_ = 0;
  std::array<std::uint64_t, kMostThreads> ordered_{};

  std::uint32_t round_ = 0;
  std::vector<View> views_;
  View kernel_;
  std::vector<View> snapshots_;
  std::uint32_t snapshots_used_ = 0;
  std::vector<Location> locations_;
  std::uint32_t locations_used_ = 0;
  std::vector<Marks> marks_;
  std::uint32_t marks_used_ = 0;
};

// What lies at an address, newest in modification order.
std::uint64_t peek(std::uintptr_t at, unsigned size);
void poke(std::uintptr_t at, unsigned size, std::uint64_t value);

}  // namespace forkful::schedules
