// Which process is a pool's worker, and which only looks like one. (Unstable; see pool.hpp.)
//
// A task may fork, and its child may come out of it: that has all the memory of the worker, and its
// claim. It must hand in nothing, and claim nothing.
#pragma once

namespace forkful {
inline namespace v0 {
namespace bytes {

// Whether this process has made a TaskPool::Worker, and did not get it by a fork.
[[nodiscard]] bool is_worker() noexcept;

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
