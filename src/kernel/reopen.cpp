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
#include <fstream>
#include <memory>
#include <string>

namespace forkful::kernel {
namespace {

Fd open_if(const std::string& path, const FileId& file) {
  Fd opened(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (file_of(opened.get()) != file) opened.reset();
  return opened;
}

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

}  // namespace

Fd open_mapped(const FileId& file) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long long from = 0;
    unsigned long long to = 0;
    unsigned long long inode = 0;
    unsigned major_number = 0;
    unsigned minor_number = 0;
    if (std::sscanf(line.c_str(), "%llx-%llx %*s %*x %x:%x %llu", &from, &to, &major_number,
                    &minor_number, &inode) != 5 ||
        FileId{makedev(major_number, minor_number), inode} != file) {
      continue;
    }
    char path[80];
    std::snprintf(path, sizeof path, "/proc/self/map_files/%llx-%llx", from, to);
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
