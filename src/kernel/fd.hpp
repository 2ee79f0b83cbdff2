// A descriptor that closes itself; close-on-exec from birth.
#pragma once

#include <string_view>
#include <utility>

namespace forkful::kernel {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }
  void reset();

 private:
  int fd_ = -1;
};

struct PipeEnds {
  Fd read;
  Fd write;
};
PipeEnds make_pipe();

// One write(); what it refuses is lost.
void write_once(int fd, std::string_view text);

// Lets an exec keep `fd` (for the explicit list of what a child inherits).
void keep_on_exec(int fd);
void close_on_exec(int fd);

}  // namespace forkful::kernel
