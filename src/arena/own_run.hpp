// A run of this member's that is freed with this object, unless it became somebody else's.
#pragma once

#include <utility>

#include "arena/heap.hpp"

namespace forkful::arena {

class OwnRun {
 public:
  OwnRun() = default;
  explicit OwnRun(Offset run) : run_(run) {}
  OwnRun(OwnRun&& other) noexcept : run_(other.release()) {}
  OwnRun& operator=(OwnRun&& other) noexcept {
    std::swap(run_, other.run_);
    return *this;
  }
  ~OwnRun() {
    if (run_ != 0) free_run(run_);
  }
  explicit operator bool() const { return run_ != 0; }
  [[nodiscard]] Offset get() const { return run_; }
  // It is somebody else's to free from now on.
  Offset release() { return std::exchange(run_, 0); }
  // Frees it now; where the arena's lock is stuck, leaves it to the member's end.
  void free_unless_stuck();

 private:
  Offset run_ = 0;
};

}  // namespace forkful::arena
