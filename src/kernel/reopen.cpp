// Opening a file anew by what /proc says of mappings and of descriptors. Names there are looked at
// first and opened afterwards, and may be another file's by then: so each file is compared again
// when it is open.
#include "kernel/reopen.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sstream>
#include <string>

namespace forkful::kernel {
namespace {

Fd open_if(const std::string& path, const FileId& file) {
  Fd opened(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (file_of(opened.get()) != file) opened.reset();
  return opened;
}

struct Mapping {
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  FileId file;
};

// A line of /proc/PID/maps: FROM-TO PERMISSIONS OFFSET MAJOR:MINOR INODE PATH, the first numbers in
// hexadecimal. An empty mapping where it is none.
Mapping mapping_in(const std::string& line) {
  Mapping found;
  char* at = nullptr;
  found.from = std::strtoull(line.c_str(), &at, 16);
  if (*at != '-') return {};
  found.to = std::strtoull(at + 1, &at, 16);
  const char* device = at;
  for (int field = 0; field < 3; ++field) {
    device = std::strchr(device, ' ');
    if (device == nullptr) return {};
    ++device;
  }
  const auto major_number = static_cast<unsigned>(std::strtoul(device, &at, 16));
  if (*at != ':') return {};
  const auto minor_number = static_cast<unsigned>(std::strtoul(at + 1, &at, 16));
  found.file = {makedev(major_number, minor_number), std::strtoull(at, nullptr, 10)};
  return found;
}

// Not by an ifstream, whose descriptor another thread's execution would pass on.
std::string own_mappings() {
  const Fd file(::open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  std::string text;
  char part[4096];
  for (ssize_t got = 0; (got = ::read(file.get(), part, sizeof part)) > 0;) {
    text.append(part, static_cast<std::size_t>(got));
  }
  return text;
}

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

}  // namespace

Fd open_mapped(const FileId& file) {
  std::istringstream maps(own_mappings());
  for (std::string line; std::getline(maps, line);) {
    const Mapping mapping = mapping_in(line);
    if (mapping.file != file) continue;
    char path[80];
    std::snprintf(path, sizeof path, "/proc/self/map_files/%llx-%llx",
                  static_cast<unsigned long long>(mapping.from),
                  static_cast<unsigned long long>(mapping.to));
    if (Fd opened = open_if(path, file)) return opened;
  }
  return {};
}

Fd open_as_in(int pid, const FileId& file) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fd";
  const std::unique_ptr<DIR, CloseFolder> folder(::opendir(path.c_str()));
  if (!folder) return {};
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string each = path + "/" + entry->d_name;
    struct stat about{};
    // Looked at first: to open a pipe or a device has effects.
    if (::stat(each.c_str(), &about) != 0 || FileId{about.st_dev, about.st_ino} != file) continue;
    if (Fd opened = open_if(each, file)) return opened;
  }
  return {};
}

std::uint64_t word_in(int fd, std::uint64_t offset) {
  std::uint64_t word = 0;
  const auto got = ::pread(fd, &word, sizeof word, static_cast<off_t>(offset));
  return got == sizeof word ? word : 0;
}

}  // namespace forkful::kernel
