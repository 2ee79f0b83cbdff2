// A pool's words in shared memory. TASK.md has a task's way, who may write and read which word, and
// what a worker's death leaves.
#pragma once

#include <forkful/bytes/task_pool.hpp>

#include "arena/objects.hpp"
#include "channel/ring.hpp"

namespace forkful::pool {

using base::Offset;

// What a worker has claimed. Only the worker writes it while it lives; after its end, the client.
struct Claim {
  std::uint64_t job;    // 0: nothing was ever claimed
  std::uint64_t items;  // {count:32 << 32 | first:32}
  std::uint64_t begun;  // items begun, counted from item 0 of the task
  Offset payload;       // the task's block, where it came as one (a chunk of several always does)
  std::uint64_t payload_bytes;
  Offset results;  // the block of a chunk's results, once there is one
};

// Two cache lines of its own, so that workers that begin and end items do not slow one another
// down.
struct alignas(base::kCacheLine) WorkerSlot {
  Claim claim;
  std::atomic<std::uint32_t> state;
  std::atomic<std::uint32_t> condemned;  // not 0: claim nothing; see TaskPool::condemn()
  std::atomic<std::uint64_t> tasks_done;
  std::uint64_t spare[8];
};
static_assert(sizeof(WorkerSlot) == 128);

struct PoolWords {
  channel::RingWords tasks;
  channel::RingWords results;
  std::uint32_t most_workers;
  std::atomic<std::uint32_t> stopped;
};
static_assert(sizeof(PoolWords) == 832);

constexpr std::uint64_t pack(std::uint32_t high, std::uint32_t low) {
  return (std::uint64_t{high} << 32) | low;
}
constexpr std::uint32_t high_half(std::uint64_t word) {
  return static_cast<std::uint32_t>(word >> 32);
}
constexpr std::uint32_t low_half(std::uint64_t word) { return static_cast<std::uint32_t>(word); }

// A block of results is {ResultHead, frames}; its progress word says how many frames count.
constexpr std::uint64_t kProgressBytes = (1ull << 40) - 1;
constexpr std::uint64_t make_progress(std::uint64_t frames, std::uint64_t bytes) {
  return (frames << 40) | bytes;
}

}  // namespace forkful::pool
