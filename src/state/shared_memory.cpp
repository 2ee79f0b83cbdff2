// Shared memory with a name in the system, for processes of any family or none. The arena has no
// part in it: the kernel's file is all there is, and it stays until somebody unlinks it, whoever
// dies.
#include <cerrno>
#include <cstdio>
#include <forkful/bytes/shared_memory.hpp>
#include <forkful/errors.hpp>
#include <optional>
#include <random>
#include <stdexcept>
#include <utility>

#include "kernel/error.hpp"
#include "kernel/named_memory.hpp"
#include "kernel/process_info.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

// Short, because some systems allow no more than 14 characters; the prefix is Python's.
std::string make_name() {
  char name[16];
  std::snprintf(name, sizeof name, "psm_%08x", std::random_device()());
  return name;
}

// The name without the slash that some systems want in front. It becomes a file's name in one
// folder, so it must not lead elsewhere.
std::string checked(const std::string& name) {
  std::string bare = name.starts_with('/') ? name.substr(1) : name;
  if (bare.empty() || bare == "." || bare == ".." || bare.find('/') != std::string::npos ||
      bare.find('\0') != std::string::npos) {
    throw std::invalid_argument(
        "the name of shared memory has characters and no slash in it, not '" + name + "'");
  }
  return bare;
}

}  // namespace

RawSharedMemory RawSharedMemory::create(std::uint64_t bytes, const std::string& name) {
  if (bytes == 0) throw std::invalid_argument("shared memory has one byte at least");
  RawSharedMemory made;
  std::optional<kernel::NamedMemory> memory;
  if (!name.empty()) {
    made.name_ = checked(name);
    memory = kernel::create_named_memory(made.name_, bytes);
    if (!memory) {
      kernel::throw_error(EEXIST, "creation", "the shared memory '" + made.name_ + "'");
    }
  }
  // 2^32 names; one that is taken is tried again with another.
  while (!memory) {
    made.name_ = make_name();
    memory = kernel::create_named_memory(made.name_, bytes);
  }
  made.bytes_ = memory->bytes;
  made.device_ = memory->identity.device;
  made.number_ = memory->identity.number;
  made.owner_ = kernel::current_pid();
  return made;
}

RawSharedMemory RawSharedMemory::attach(const std::string& name) {
  RawSharedMemory made;
  made.name_ = checked(name);
  const auto memory = kernel::open_named_memory(made.name_);
  made.bytes_ = memory.bytes;
  made.device_ = memory.identity.device;
  made.number_ = memory.identity.number;
  made.owner_ = kernel::current_pid();
  return made;
}

void RawSharedMemory::close() noexcept {
  if (!bytes_.empty()) kernel::unmap(std::exchange(bytes_, {}));
}

void RawSharedMemory::unlink() { kernel::unlink_named_memory(name_); }

// The name may have been given to other memory since, which must stay.
void RawSharedMemory::unlink_own() noexcept {
  try {
    if (kernel::is_named(name_, {device_, number_})) kernel::unlink_named_memory(name_);
  } catch (const OsError&) {
    // Why: somebody else has unlinked it in between.
  }
}

bool RawSharedMemory::is_ours() const noexcept { return owner_ == kernel::current_pid(); }

void RawSharedMemory::swap(RawSharedMemory& other) noexcept {
  std::swap(name_, other.name_);
  std::swap(bytes_, other.bytes_);
  std::swap(device_, other.device_);
  std::swap(number_, other.number_);
  std::swap(owner_, other.owner_);
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
