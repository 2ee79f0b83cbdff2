// Shared memory that has a name in the system, for processes that are no family.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace forkful::kernel {

// What a name referred to; two are equal when it is the same memory.
struct MemoryIdentity {
  std::uint64_t device = 0;
  std::uint64_t number = 0;
  friend bool operator==(const MemoryIdentity&, const MemoryIdentity&) = default;
};

struct NamedMemory {
  std::span<std::byte> bytes;
  MemoryIdentity identity;
};

// Makes zeroed memory with all its pages, for this user alone, and maps it. nullopt: the name is
// taken. The name appears to others with its whole size.
// Throws: OsError(ENOSPC) where there is not so much; nothing is left of it then.
std::optional<NamedMemory> create_named_memory(const std::string& name, std::uint64_t bytes);

// Maps all of it. Throws: OsError(ENOENT), also while its creator is not through.
NamedMemory open_named_memory(const std::string& name);

void unmap(std::span<std::byte> memory);

// Throws: OsError(ENOENT).
void unlink_named_memory(const std::string& name);
// Whether the name still names that memory.
[[nodiscard]] bool is_named(const std::string& name, const MemoryIdentity& identity);

}  // namespace forkful::kernel
