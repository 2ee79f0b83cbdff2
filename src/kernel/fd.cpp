// Descriptors: closing them, and keeping ours where a program does not come across them.
//
// A KeptFd is asked in the handler of a signal (get()), so what it calls must be async-signal-safe.
#include "kernel/fd.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "kernel/error.hpp"

namespace forkful::kernel {

// close() is not tried again after EINTR: on Linux the number is free by then and may be another
// thread's.
void Fd::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

namespace {

// Above what programs number by hand. Not higher, because a fork copies the table of descriptors up
// to the highest one; and as many as a process keeps, with room for numbers that are taken.
constexpr int kHighest = 1024;
constexpr int kKept = 64;

// Moves `fd` to the highest free number below the limit. Leaves it where it is when there is none:
// a low number is worse and still works.
Fd out_of_the_way(Fd fd) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return fd;
  const int top = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, kHighest));
  const int lowest = std::max(top - kKept, fd.get() + 1);
  for (int number = top - 1; number >= lowest; --number) {
    // Looked at first, since F_DUPFD would search upward past numbers that are taken and might end
    // above the limit. Race: another thread may take the number meanwhile; F_DUPFD then gives the
    // next one.
    if (::fcntl(number, F_GETFD) >= 0) continue;
    Fd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, number));
    return moved ? std::move(moved) : std::move(fd);
  }
  return fd;
}

}  // namespace

FileId file_of(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return {};
  return {status.st_dev, status.st_ino};
}

Fd open_again(int fd, int flags) {
  constexpr std::string_view kFolder = "/proc/self/fd/";
  char path[32];
  char* const number = std::copy(kFolder.begin(), kFolder.end(), path);
  // Why not snprintf(): each new child comes here first, and finds that one's pages unmapped.
  *std::to_chars(number, path + sizeof path - 1, fd).ptr = '\0';
  return Fd(::open(path, flags | O_CLOEXEC));
}

KeptFd::KeptFd(Fd fd) {
  if (!fd) return;
  fd_ = out_of_the_way(std::move(fd)).release();
  file_ = file_of(fd_);
}

// get() and not fd_: a number that the program has given to a file of its own is not ours to close.
void KeptFd::reset() {
  if (const int fd = get(); fd >= 0) ::close(fd);
  fd_ = -1;
}

// Race: of two threads that put it on the same number, the one that took the number first, closed
// by the program again, is lost; nobody else's is closed.
void KeptFd::restore(Fd same) {
  int lost = fd_;
  if (lost < 0 || get() >= 0 || file_of(same.get()) != file_) return;
  Fd moved = out_of_the_way(std::move(same));
  if (fd_.compare_exchange_strong(lost, moved.get())) (void)moved.release();
}

bool is_beyond_limit(int fd) {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && static_cast<rlim_t>(fd) >= limit.rlim_cur;
}

Fd duplicate(int fd) {
  // From 3 on, so that it never becomes stdin, stdout or stderr of a program that has closed those.
  Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) throw_errno("fcntl(F_DUPFD_CLOEXEC)", "a descriptor");
  return copy;
}

PipeEnds make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw_errno("pipe2", "a pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

void write_once(int fd, std::string_view text) {
  // Why unused: a log has nobody to complain to.
  [[maybe_unused]] const auto written = ::write(fd, text.data(), text.size());
}

void keep_on_exec(int fd) {
  if (::fcntl(fd, F_SETFD, 0) != 0)
    throw_errno("fcntl(F_SETFD)", "descriptor " + std::to_string(fd));
}

void close_on_exec(int fd) {
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    throw_errno("fcntl(F_SETFD)", "descriptor " + std::to_string(fd));
  }
}

}  // namespace forkful::kernel
