// A descriptor that closes itself; close-on-exec from birth.
#pragma once

#include <atomic>
#include <cstdint>
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

// Which file a descriptor refers to, whatever its number: inode numbers are unique in one device
// only.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  explicit operator bool() const { return inode != 0; }
  friend bool operator==(const FileId&, const FileId&) = default;
};
// Async-signal-safe. Nothing where the descriptor is not open.
FileId file_of(int fd);

// The file of an open descriptor, once more, by its path in /proc: another open file, with locks
// and signals of its own. Empty where that cannot be (no /proc, no room). `flags` are open()'s.
Fd open_again(int fd, int flags);

// A descriptor that we keep open for long, in a process whose program manages its descriptors
// itself.
//
// It is moved out of the way, to a high number, and remembers its file: a program that closes
// descriptors it does not know, or uses a number of its own choice, takes ours away. What it has
// put there is then neither used nor closed.
class KeptFd {
 public:
  KeptFd() = default;
  explicit KeptFd(Fd fd);
  KeptFd(KeptFd&& other) noexcept
      : fd_(other.fd_.exchange(-1)), file_(std::exchange(other.file_, {})) {}
  KeptFd& operator=(KeptFd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.fd_.exchange(-1);
      file_ = std::exchange(other.file_, {});
    }
    return *this;
  }
  ~KeptFd() { reset(); }

  // -1 where there is none, or the program has taken it. Async-signal-safe.
  [[nodiscard]] int get() const {
    const int fd = fd_;
    return fd >= 0 && file_of(fd) == file_ ? fd : -1;
  }
  explicit operator bool() const { return get() >= 0; }
  void reset();

  // The file, also where the program has taken its descriptor.
  [[nodiscard]] const FileId& file() const { return file_; }
  // Keeps another descriptor of the same file where the program has taken the one that was kept.
  // Other threads may ask for the descriptor meanwhile, and do the same.
  void restore(Fd same);

 private:
  std::atomic<int> fd_{-1};
  FileId file_;
};

// Whether a new descriptor could not have this number: the limit has been lowered since.
bool is_beyond_limit(int fd);
// Throws: OsError(EMFILE).
Fd duplicate(int fd);

// Both close-on-exec. Throws: OsError(EMFILE).
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
