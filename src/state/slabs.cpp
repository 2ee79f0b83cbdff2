// Cells and chunks of a container; slabs.hpp has the rules.
//
// A death before the commit of a chunk leaves the heap as it was, one after it a container that has
// more room than it needed.
#include "state/slabs.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>

#include "arena/heap.hpp"
#include "base/check.hpp"

namespace forkful::state {
namespace {

// Four to an octave, so that a cell is at most a quarter larger than what it holds.
constexpr std::array<std::uint64_t, kCellSizes> kSizes = {
    32,  48,  64,  80,  96,  112, 128,  160,  192,  224,  256,  320,
    384, 448, 512, 640, 768, 896, 1024, 1280, 1536, 2048, 3072, 4096};

constexpr std::uint64_t kFirstChunk = 4096;
constexpr std::uint64_t kLargestChunk = 1 << 20;

std::uint32_t size_of(std::uint64_t bytes) {
  const auto found = std::lower_bound(kSizes.begin(), kSizes.end(), bytes);
  if (found == kSizes.end()) arena::damaged();
  return static_cast<std::uint32_t>(found - kSizes.begin());
}

void check_cell(Offset cell) {
  if (!can_be_cell(cell)) arena::damaged();
}

}  // namespace

std::uint64_t cell_bytes(std::uint64_t bytes) { return kSizes[size_of(bytes)]; }

void Slabs::make_room(std::uint64_t bytes) {
  const SlabWords& now = words();
  if (now.bump_end - now.bump >= bytes) return;
  const std::uint64_t wanted = std::clamp(std::bit_ceil(now.taken), kFirstChunk, kLargestChunk);
  arena::ArenaJournal journal(sync::IfStuck::leave);
  // What is left of the chunk before becomes free cells, the largest first.
  Offset rest = now.bump;
  for (auto each = kSizes.rbegin(); each != kSizes.rend(); ++each) {
    if (now.bump_end - rest < *each) continue;
    give(journal, rest, *each);
    rest += *each;
  }
  stage_chunk(journal, std::max(wanted, bytes + sizeof(Chunk)));
  journal.commit();
}

void Slabs::stage_chunk(Journal& heap) { stage_chunk(heap, kFirstChunk); }

void Slabs::stage_chunk(Journal& heap, std::uint64_t bytes) {
  const std::uint64_t size = base::round_up(bytes, arena::kPageBytes);
  const Offset chunk = arena::stage_allocate(heap, size);
  const Offset chunks = at_ + offsetof(SlabWords, chunks);
  const Offset taken = at_ + offsetof(SlabWords, taken);
  arena::at<Chunk>(chunk) = {heap.get(chunks), size};
  heap.set(at_ + offsetof(SlabWords, bump), chunk + sizeof(Chunk));
  heap.set(at_ + offsetof(SlabWords, bump_end), chunk + size);
  heap.set(chunks, chunk);
  heap.set(taken, heap.get(taken) + size);
}

Offset Slabs::take(Journal& journal, std::uint64_t bytes) {
  const std::uint32_t size = size_of(bytes);
  const Offset list = free_list(size);
  if (const Offset cell = journal.get(list); cell != 0) {
    check_cell(cell);
    journal.set(list, journal.get(cell));
    return cell;
  }
  const Offset bump = at_ + offsetof(SlabWords, bump);
  const Offset cell = journal.get(bump);
  const Offset end = journal.get(at_ + offsetof(SlabWords, bump_end));
  check_cell(cell);
  if (end - cell < kSizes[size] || end < cell) arena::damaged();  // make_room() came before
  journal.set(bump, cell + kSizes[size]);
  return cell;
}

void Slabs::give(Journal& journal, Offset cell, std::uint64_t bytes) {
  check_cell(cell);
  const Offset list = free_list(size_of(bytes));
  journal.set(cell, journal.get(list));
  journal.set(list, cell);
}

void Slabs::stage_empty(Journal& journal, Offset bump, Offset bump_end) {
  journal.set(at_ + offsetof(SlabWords, bump), bump);
  journal.set(at_ + offsetof(SlabWords, bump_end), bump_end);
  journal.set(at_ + offsetof(SlabWords, chunks), 0);
  journal.set(at_ + offsetof(SlabWords, taken), 0);
  for (std::uint32_t size = 0; size < kCellSizes; ++size) journal.set(free_list(size), 0);
}

void Slabs::for_each_free(const std::function<void(Offset, std::uint64_t)>& look) const {
  const SlabWords& now = words();
  for (std::uint32_t size = 0; size < kCellSizes; ++size) {
    for (Offset cell = now.free[size]; cell != 0; cell = arena::at<Offset>(cell)) {
      check_cell(cell);
      look(cell, kSizes[size]);
    }
  }
  look(now.bump, now.bump_end - now.bump);
}

}  // namespace forkful::state
