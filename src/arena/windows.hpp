// The arena's mapping: from an offset to an address in this process.
//
// The arena's file grows by windows, and never shrinks. Windows are mapped when first used and
// never unmapped, each at the place beside its neighbours where that is free, so that a block of
// several needs no mapping of its own. One eager mapping of the whole would keep a worker that
// lowers RLIMIT_AS from allocating anything.
#pragma once

#include <atomic>
#include <optional>

#include "arena/layout.hpp"
#include "kernel/fd.hpp"

namespace forkful::arena {

inline constexpr std::uint64_t kArenaBytes = kWindows * kWindowBytes;

extern std::atomic<std::byte*> g_windows[kWindows];

// For offsets and counts that cannot be: throws Error.
[[noreturn]] void damaged();

// Maps the window of `at`, or for a block of several windows all of them side by side.
// Throws: OsError(ENOMEM); Error where the arena's file does not reach so far.
std::byte* map_window(Offset at, std::uint64_t bytes);

// The address of `at`. An offset beyond all windows, which only damaged memory can name, is the
// address of something else.
inline std::byte* at(Offset offset) {
  const std::uint64_t index = offset / kWindowBytes % kWindows;
  // Acquire: pairs with the release in map_at(), in another thread of this process.
  std::byte* window = g_windows[index].load(std::memory_order_acquire);
  if (__builtin_expect(window == nullptr, 0)) return map_window(offset % kArenaBytes, 1);
  return window + offset % kWindowBytes;
}

// The address of a block that may be larger than a window.
inline std::byte* at(Offset offset, std::uint64_t bytes) {
  if (__builtin_expect(bytes > kWindowBytes - offset % kWindowBytes, 0)) {
    return map_window(offset, bytes);
  }
  return at(offset);
}

template <class T>
T& at(Offset offset) {
  return *reinterpret_cast<T*>(at(offset));
}

template <class T>
T& at(Offset offset, std::uint64_t bytes) {
  return *reinterpret_cast<T*>(at(offset, bytes));
}

// The offset of an address; none where it is in no window that is mapped here.
[[nodiscard]] std::optional<Offset> offset_in_arena(const std::byte* address);

inline Header& header() { return at<Header>(kHeaderAt); }
inline Member& member(MemberId id) { return at<Member>(kMembersAt + id.index() * sizeof(Member)); }

// Makes the arena's file reach to `bytes`, if it does not. Requires: the arena's journal locked,
// so that nobody else does the same. Throws OsError(EFBIG, EBADF).
void grow_arena(std::uint64_t bytes);

// Zeroes memory of this member's, without making pages for what has none. Throws OsError.
void zero_run(Offset run, std::uint64_t bytes);

// Which file this process maps: its descriptor here, which is kept as long as the process lives.
// Before the first use of at().
void use_arena(kernel::KeptFd& arena);
// The arena's file, the same in every member.
const kernel::FileId& arena_file();

// Held across fork, so that a child can map.
void lock_mapping();
void unlock_mapping();

}  // namespace forkful::arena
