// What runs in a pool's worker.
#pragma once

#include <cstdint>
#include <forkful/bytes/process.hpp>
#include <forkful/bytes/shared.hpp>

namespace forkful::pool {

// Everything that a worker is told at its start.
struct WorkerPlan {
  bytes::Shared::Id tasks;
  bytes::Shared::Id cancellations;
  std::uint32_t slot;
  std::uint32_t most_tasks;  // 0: no limit
};

// `payload`: WorkerPlan | bool whether an initializer follows | the id of a semaphore with a
// permit to say what it throws | its CodePlace | its payload.
void run_worker(bytes::Bytes payload);

// Ends this process, a child that a function of the pool's user has forked and that comes out of
// it: it is neither the worker nor the pool's owner.
[[noreturn]] void end_forked(int exit_code);

}  // namespace forkful::pool
