// Shared memory without a name, and locks on bytes of a file. The arena and the file of byte locks
// are both memfds: they have no path that could be left over, and the kernel frees them with their
// last user.
#include "kernel/memfd.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "kernel/error.hpp"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace forkful::kernel {

Fd make_memfd(const char* name, std::uint64_t bytes) {
  // Close-on-exec: another program that a member executes must not keep the arena. A child that is
  // to have it is told its number, and keeps it (kernel::execute()).
  Fd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd) throw_errno("memfd_create", name);
  grow_memfd(fd.get(), name, bytes);
  return fd;
}

void grow_memfd(int fd, const char* name, std::uint64_t bytes) {
  require_file_size(name, bytes);
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0) throw_errno("ftruncate", name);
}

void require_file_size(const std::string& object, std::uint64_t bytes) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || bytes <= limit.rlim_cur) return;
  const auto mib = [](std::uint64_t all) { return std::to_string(all >> 20) + " MiB"; };
  throw_error(EFBIG, "growth",
              object + " to " + mib(bytes) + ", since this process may make no file above " +
                  mib(limit.rlim_cur) +
                  " (RLIMIT_FSIZE; raise it ahead of the program by `ulimit -f unlimited`)");
}

std::byte* map_shared(int fd, std::uint64_t offset, std::uint64_t bytes, std::byte* wish) {
  // Not MAP_FIXED, which would replace what is there: where the place is taken, the kernel chooses
  // another one.
  void* at =
      ::mmap(wish, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (at == MAP_FAILED) {
    throw_errno("mmap", "the arena (" + std::to_string(bytes >> 20) +
                            " MiB; is the address space limited by RLIMIT_AS, or were all "
                            "descriptors closed?)");
  }
  // Best effort: a core dump of one member would contain the messages of all.
  ::madvise(at, bytes, MADV_DONTDUMP);
  return static_cast<std::byte*>(at);
}

std::byte* map_wipe_on_fork(std::size_t bytes) {
  void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw_errno("mmap", "the page that tells a fork");
  if (::madvise(at, bytes, MADV_WIPEONFORK) != 0) throw_errno("madvise(MADV_WIPEONFORK)", "a page");
  return static_cast<std::byte*>(at);
}

std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

void punch_hole(std::byte* address, std::uint64_t bytes) {
  // Kernel: it rounds the end of the range up, so where its pages are larger than the caller's it
  // would take what is next to them.
  const PageRange whole =
      whole_pages(reinterpret_cast<std::uintptr_t>(address), bytes, page_bytes());
  // A refusal keeps the pages, which is harmless.
  if (whole.bytes != 0) {
    (void)::madvise(reinterpret_cast<void*>(whole.from), whole.bytes, MADV_REMOVE);
  }
}

// Kernel: mincore() would do without the descriptor, but it leaves out what lies in swap.
PageRange next_data(int fd, std::uint64_t from, std::uint64_t end) {
  const off_t data = ::lseek(fd, static_cast<off_t>(from), SEEK_DATA);
  if (data < 0 && errno == ENXIO) return {};  // none before the end of the file
  if (data < 0) throw_errno("lseek(SEEK_DATA)", "the arena");
  const auto begin = static_cast<std::uint64_t>(data);
  if (begin >= end) return {};
  // There is a hole at the end of the file at the latest.
  const off_t hole = ::lseek(fd, data, SEEK_HOLE);
  if (hole < 0) throw_errno("lseek(SEEK_HOLE)", "the arena");
  const auto until = static_cast<std::uint64_t>(hole);
  return {begin, (until < end ? until : end) - begin};
}

// A kernel without the call refuses it, and each page is made when it is touched.
void populate(std::byte* address, std::uint64_t bytes) {
  (void)::madvise(address, bytes, MADV_POPULATE_WRITE);
}

namespace {

// A lock of one byte of the file, whether or not the file has that byte.
struct flock byte_lock(std::uint64_t index) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(index);
  lock.l_len = 1;
  return lock;
}

}  // namespace

bool hold_byte_for_life(int fd, std::uint64_t index) {
  constexpr std::size_t kPage = 4096;  // a page of the kernel's, which rounds up to its own
  // Opened anew: a lock of the open file that all members share would be held by all of them.
  const Fd own = open_again(fd, O_RDWR);
  struct flock lock = byte_lock(index);
  // A lock of the open file itself, not of the process: it lasts as long as anything refers to the
  // open file, and once the descriptor is closed that is the mapping alone.
  if (!own || ::fcntl(own.get(), F_OFD_SETLK, &lock) != 0) return false;
  // Never touched, so it needs no access, and the file may be shorter.
  void* at = ::mmap(nullptr, kPage, PROT_NONE, MAP_SHARED, own.get(), 0);
  if (at == MAP_FAILED) return false;
  // A child that mapped it too would hold its parent's lock.
  if (::madvise(at, kPage, MADV_DONTFORK) == 0) return true;
  ::munmap(at, kPage);
  return false;
}

// A lock of the process. It belongs to the pid and not to the open file, so a fork has none.
bool hold_byte(int fd, std::uint64_t index) {
  struct flock lock = byte_lock(index);
  return ::fcntl(fd, F_SETLK, &lock) == 0;
}

bool byte_is_held(int fd, std::uint64_t index) {
  struct flock lock = byte_lock(index);
  if (::fcntl(fd, F_GETLK, &lock) != 0) return false;  // closed by the program: the pid decides
  return lock.l_type != F_UNLCK;
}

}  // namespace forkful::kernel
