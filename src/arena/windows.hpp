// The arena's mapping: from an offset to an address in this process.
//
// Windows are mapped when first used and never unmapped. One eager mapping of the whole would keep
// a worker that lowers RLIMIT_AS from allocating anything.
#pragma once

#include <atomic>

#include "arena/layout.hpp"
#include "kernel/fd.hpp"

namespace forkful::arena {

extern std::atomic<std::byte*> g_windows[kWindows];

// Maps the window of `at`, or for a block of several windows all of them side by side.
// Throws OsError(ENOMEM).
std::byte* map_window(Offset at, std::uint64_t bytes);

// The address of `at`. Requires: at < kWindows * kWindowBytes.
inline std::byte* at(Offset offset) {
  std::byte* window = g_windows[offset / kWindowBytes].load(std::memory_order_acquire);
  if (__builtin_expect(window == nullptr, 0)) return map_window(offset, 1);
  return window + offset % kWindowBytes;
}

// The address of a block that may be larger than a window.
inline std::byte* at(Offset offset, std::uint64_t bytes) {
  if (__builtin_expect(offset % kWindowBytes + bytes > kWindowBytes, 0)) {
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

inline Header& header() { return at<Header>(kHeaderAt); }
inline Member& member(MemberId id) { return at<Member>(kMembersAt + id.slot() * sizeof(Member)); }

// Which file this process maps, by its descriptor here. Before the first use of at().
void use_arena(int fd);
// The arena's file, the same in every member.
const kernel::FileId& arena_file();

// Held across fork, so that a child can map.
void lock_mapping();
void unlock_mapping();

}  // namespace forkful::arena
