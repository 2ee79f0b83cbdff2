// Where the parts of a pool lie, for whoever holds it: the words, a worker's slot, the two rings.
#pragma once

#include <cstddef>

#include "arena/shares.hpp"
#include "base/check.hpp"
#include "pool/words.hpp"

namespace forkful::pool {

inline constexpr std::uint64_t kSlotsAt = base::round_up(sizeof(PoolWords), alignof(WorkerSlot));

inline Offset words_at(Offset object) { return object + arena::Held::body_at<PoolWords>(); }
inline Offset slot_at(Offset object, std::uint32_t worker) {
  return words_at(object) + kSlotsAt + worker * sizeof(WorkerSlot);
}
inline Offset claim_at(Offset object, std::uint32_t worker) {
  return slot_at(object, worker) + offsetof(WorkerSlot, claim);
}

constexpr std::uint64_t bytes_of_pool(std::uint64_t workers) {
  return arena::Held::body_at<PoolWords>() + kSlotsAt + workers * sizeof(WorkerSlot);
}

inline PoolWords& words_of(const arena::Held* held) { return held->body<PoolWords>(); }
[[gnu::always_inline]] inline WorkerSlot& slot_of(const arena::Held* held, std::uint32_t worker) {
  return arena::at<WorkerSlot>(slot_at(held->object, worker));
}
inline channel::Ring tasks_of(const arena::Held* held) {
  return {words_of(held).tasks, words_at(held->object) + offsetof(PoolWords, tasks)};
}
inline channel::Ring results_of(const arena::Held* held) {
  return {words_of(held).results, words_at(held->object) + offsetof(PoolWords, results)};
}

// Neither ring of a pool has a bound.
inline void must_be_sent(channel::Ring::Push how) {
  FORKFUL_CHECK(how == channel::Ring::Push::sent);
}

// Stages the release of the block that a word of a claim refers to, if it does, and clears it.
inline void stage_drop(arena::Journal& journal, Offset word) {
  const Offset block = journal.get(word);
  if (block == 0) return;
  if (arena::is_run(block, 1)) arena::stage_free(journal, block, arena::run_bytes(block));
  journal.set(word, 0);
}

}  // namespace forkful::pool
