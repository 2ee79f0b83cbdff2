// This process, its parent and its children, as forkful knows them.
#pragma once

#include <forkful/bytes/family.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {

struct ProcessInfo {
  std::string name;  // as in ProcessOptions; "MainProcess", "Process-1", "SpawnPoolWorker-1"
  int pid;
  bool daemon;
};

namespace detail {
inline ProcessInfo info_of(bytes::MemberInfo member) {
  return {std::move(member.name), member.pid, member.daemonic || member.pool_worker};
}
}  // namespace detail

// Threads: any, all three.
[[nodiscard]] inline ProcessInfo current_process() { return detail::info_of(bytes::this_member()); }

// nullopt in a program's first process, and where the parent is gone.
[[nodiscard]] inline std::optional<ProcessInfo> parent_process() {
  auto parent = bytes::parent_member();
  if (!parent) return std::nullopt;
  return detail::info_of(std::move(*parent));
}

// The children of this process that run, workers of its pools among them.
[[nodiscard]] inline std::vector<ProcessInfo> active_children() {
  std::vector<ProcessInfo> children;
  for (auto& each : bytes::child_members()) children.push_back(detail::info_of(std::move(each)));
  return children;
}

}  // namespace v0
}  // namespace forkful
