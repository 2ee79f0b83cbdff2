// Anonymous shared memory, and the byte locks that say who is alive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernel/fd.hpp"

namespace forkful::kernel {

Fd make_memfd(const char* name, std::uint64_t bytes);

// Makes the file larger; its new bytes read zero and take no memory before they are written.
// Throws: OsError(EFBIG) where the limit of this process forbids it.
void grow_memfd(int fd, const char* name, std::uint64_t bytes);

// Throws OsError(EFBIG) where RLIMIT_FSIZE forbids this process a file of so many bytes. Why ask:
// the kernel would answer with SIGXFSZ, which kills a process that does not know of it.
void require_file_size(const std::string& object, std::uint64_t bytes);

// Maps [offset, offset + bytes) shared and writable, left out of core dumps; at `wish`, where
// nothing else is. Throws OsError(ENOMEM) where RLIMIT_AS refuses.
std::byte* map_shared(int fd, std::uint64_t offset, std::uint64_t bytes, std::byte* wish = nullptr);

// One private page that reads zero in a child of any fork, raw clone included.
// Kernel: MADV_WIPEONFORK is of 4.14.
std::byte* map_wipe_on_fork(std::size_t bytes);

// A page of this machine's kernel: 4 KiB on x86-64; on AArch64 also 16 or 64 KiB.
std::size_t page_bytes();

struct PageRange {
  std::uint64_t from = 0;
  std::uint64_t bytes = 0;  // 0 where there is no page
  bool operator==(const PageRange&) const = default;
};
// The pages of `page` bytes, a power of two, that lie in [from, from + bytes) as a whole.
constexpr PageRange whole_pages(std::uint64_t from, std::uint64_t bytes, std::uint64_t page) {
  const std::uint64_t begin = (from + page - 1) & ~(page - 1);
  const std::uint64_t end = (from + bytes) & ~(page - 1);
  return begin < end ? PageRange{begin, end - begin} : PageRange{};
}

// Gives the pages of shared memory back to the kernel; they read zero afterwards. What shares a
// page of the kernel with other memory stays as it is.
// By address: a program may have closed our descriptor and given its number to a file of its own.
void punch_hole(std::byte* address, std::uint64_t bytes);

// The first bytes from `from` on, before `end`, that have pages; 0 bytes: none has. A page that
// lies in swap counts, too. Throws OsError where the file cannot tell.
PageRange next_data(int fd, std::uint64_t from, std::uint64_t end);

// Makes pages present and writable before they are used; a hint, so failures are ignored.
// Kernel: MADV_POPULATE_WRITE is of 5.14.
void populate(std::byte* address, std::uint64_t bytes);

// Locks on single bytes of a file, by which a process shows that it lives.
//
// hold_byte_for_life() holds one through a mapping: until the process dies or execs, whatever
// becomes of its descriptors. It opens the file anew, for which it needs /proc; false where that
// fails. hold_byte() needs nothing, but the lock is gone when the process closes any descriptor of
// the file; false where the descriptor is not usable. A fork inherits neither.
bool hold_byte_for_life(int fd, std::uint64_t index);
bool hold_byte(int fd, std::uint64_t index);
// Whether another process holds it. Async-signal-safe.
bool byte_is_held(int fd, std::uint64_t index);

}  // namespace forkful::kernel
