// Memory in /dev/shm under a name, for SharedMemory. Families have no part in it: whoever knows the
// name and is the same user can open it.
//
// A process that is killed while it makes one leaves the name, of an empty file or of the whole
// one, and its memory with it. Nobody takes that back.
#include "kernel/named_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "kernel/error.hpp"
#include "kernel/fault.hpp"
#include "kernel/fd.hpp"
#include "kernel/memfd.hpp"

namespace forkful::kernel {
namespace {

std::string path_of(const std::string& name) { return "/" + name; }

std::string called(const std::string& name) { return "the shared memory '" + name + "'"; }

// Takes the name back unless the memory came to be. Race: where somebody has unlinked the name and
// made another memory of it meanwhile, that one loses its name.
class Unlinker {
 public:
  explicit Unlinker(const std::string& name) : name_(&name) {}
  ~Unlinker() {
    if (name_ != nullptr) ::shm_unlink(path_of(*name_).c_str());
  }
  Unlinker(const Unlinker&) = delete;
  Unlinker& operator=(const Unlinker&) = delete;
  void keep() { name_ = nullptr; }

 private:
  const std::string* name_;
};

int allocate(int fd, off_t from, off_t bytes) {
  // Without a size, by which open_named_memory() knows one that is not whole yet.
  if (::fallocate(fd, FALLOC_FL_KEEP_SIZE, from, bytes) == 0) return 0;
  // In a file system without it (/dev/shm is a tmpfs, which has it) zeros are written instead, and
  // the file grows step by step.
  return errno == EOPNOTSUPP ? ::posix_fallocate(fd, from, bytes) : errno;
}

// All pages now: one that is missing later would be a SIGBUS in whoever touches it.
void allocate_all(int fd, const std::string& name, off_t bytes) {
  // In steps, since a signal undoes the step that it interrupts.
  // A guess: 16 MiB take a few milliseconds.
  constexpr off_t kStep = 16 << 20;
  for (off_t at = 0; at < bytes;) {
    const off_t step = std::min(kStep, bytes - at);
    const int error = allocate(fd, at, step);
    if (error == 0) at += step;
    if (error != 0 && error != EINTR) throw_error(error, "fallocate", called(name));
  }
}

NamedMemory map(int fd, const std::string& name, const struct stat& about) {
  const auto size = static_cast<std::size_t>(about.st_size);
  void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) throw_errno("mmap", called(name));
  // The name may be another memory's later; the file that is mapped here stays this one.
  return {{static_cast<std::byte*>(at), size}, {about.st_dev, about.st_ino}};
}

struct stat look_at(int fd, const std::string& name) {
  struct stat about{};
  if (::fstat(fd, &about) != 0) throw_errno("fstat", called(name));
  return about;
}

}  // namespace

std::optional<NamedMemory> create_named_memory(const std::string& name, std::uint64_t bytes) {
  constexpr int kOnlyThisUser = 0600;
  if (bytes > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max())) {
    throw_error(EFBIG, "creation", called(name));
  }
  require_file_size(called(name), bytes);  // before there is a name that would have to go again
  // The descriptor is closed at the end, and the mapping keeps the memory.
  const Fd fd(::shm_open(path_of(name).c_str(), O_RDWR | O_CREAT | O_EXCL, kOnlyThisUser));
  if (!fd && errno == EEXIST) return std::nullopt;
  if (!fd) throw_errno("shm_open", called(name));
  Unlinker unlinker(name);
  FORKFUL_FAULT("shared_memory.named");
  allocate_all(fd.get(), name, static_cast<off_t>(bytes));
  // Last, so that nobody sees a smaller one.
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) throw_errno("ftruncate", called(name));
  const NamedMemory memory = map(fd.get(), name, look_at(fd.get(), name));
  unlinker.keep();
  return memory;
}

NamedMemory open_named_memory(const std::string& name) {
  const Fd fd(::shm_open(path_of(name).c_str(), O_RDWR, 0));
  if (!fd) throw_errno("shm_open", called(name));
  const struct stat about = look_at(fd.get(), name);
  if (about.st_size == 0) {
    throw_error(ENOENT, "shm_open", called(name) + ", which has a name but no bytes yet");
  }
  return map(fd.get(), name, about);
}

void unmap(std::span<std::byte> memory) { (void)::munmap(memory.data(), memory.size()); }

void unlink_named_memory(const std::string& name) {
  if (::shm_unlink(path_of(name).c_str()) != 0) throw_errno("shm_unlink", called(name));
}

bool is_named(const std::string& name, const MemoryIdentity& identity) {
  const Fd fd(::shm_open(path_of(name).c_str(), O_RDONLY, 0));
  struct stat about{};
  return fd && ::fstat(fd.get(), &about) == 0 &&
         identity == MemoryIdentity{about.st_dev, about.st_ino};
}

}  // namespace forkful::kernel
