#include "arena/room_left.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <string>

#include "arena/heap.hpp"
#include "kernel/error.hpp"

namespace forkful::arena {
namespace {

constexpr std::uint64_t kMiB = 1ull << 20;

// A look reads some files of the kernel's, which takes 0.2 to 0.3 ms. To fill 64 MiB takes some 200
// ms (both measured on a busy machine of two CPUs), so the looks cost about a thousandth.
constexpr std::uint64_t kPagesPerCheck = 64 * kMiB / kPageBytes;
// Nearer to a limit, where others take memory as well, looks come closer together: each after a
// quarter of what is left. A guess.
constexpr std::uint64_t kLooksUntilFull = 4;

// What is left of a limit for others: between two looks they take memory as well, and a cgroup
// counts what the kernel keeps for it. A guess.
constexpr std::uint64_t kReserveBytes = 16 * kMiB;
// A whole machine kills before MemAvailable is 0, at watermarks that grow with its memory: with a
// reserve of 16 MiB, one of 24 GB killed both of two members that filled a queue without a bound,
// and none was told. 3 % are beyond the watermarks; a GiB at most, and these, are a guess.
constexpr std::uint64_t kReservePercent = 3;
constexpr std::uint64_t kMostReserveBytes = 1024 * kMiB;
static_assert(kReserveBytes < kMostReserveBytes, "std::clamp() needs it");

std::atomic<ReadLimits> g_read_limits{kernel::memory_limits};

std::uint64_t bytes_left() {
  const kernel::MemoryLimits limits = g_read_limits.load(std::memory_order_relaxed)();
  const auto less = [](std::uint64_t left, std::uint64_t reserve) {
    return left > reserve ? left - reserve : 0;
  };
  const std::uint64_t reserve =
      limits.machine == kernel::kNoLimit
          ? kReserveBytes
          : std::clamp(limits.machine / 100 * kReservePercent, kReserveBytes, kMostReserveBytes);
  return std::min(less(limits.machine_left, reserve), less(limits.cgroup_left, kReserveBytes));
}

}  // namespace

void check_room(Journal& journal, std::uint64_t pages) {
  const std::uint64_t used = journal.get(FORKFUL_HEADER_FIELD(used_pages));
  if (used + pages <= journal.get(FORKFUL_HEADER_FIELD(checked_pages))) return;
  const std::uint64_t left = bytes_left();
  if (left < pages * kPageBytes) {
    kernel::throw_error(
        ENOSPC, "growth",
        "the arena by " + std::to_string(pages * kPageBytes >> 10) + " KiB (" +
            std::to_string(left >> 20) +
            " MiB are left below the memory limit and its reserve; use fewer or smaller objects, "
            "or bound the queue with maxsize)");
  }
  const std::uint64_t spare = (left / kPageBytes - pages) / kLooksUntilFull;
  journal.set(FORKFUL_HEADER_FIELD(checked_pages), used + pages + std::min(spare, kPagesPerCheck));
}

void stage_unchecked(Journal& journal, std::uint64_t pages) {
  const Offset field = FORKFUL_HEADER_FIELD(checked_pages);
  const std::uint64_t checked = journal.get(field);
  journal.set(field, checked > pages ? checked - pages : 0);
}

void read_limits_by(ReadLimits read) { g_read_limits.store(read, std::memory_order_relaxed); }

}  // namespace forkful::arena
