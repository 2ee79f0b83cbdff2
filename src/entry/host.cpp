// forkful-host: see process/host.hpp. Not for calling by hand.

#include "process/host.hpp"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

namespace {

int refuse(const char* what, const char* why) {
  std::fprintf(stderr, "forkful-host: %s%s\n", what, why);
  return 2;
}

}  // namespace

int main() {
  using forkful::process::HostModule;
  const char* words = std::getenv(forkful::process::kHostModuleName);
  if (words == nullptr) {
    return refuse("starts processes for libraries that use forkful within other programs; ",
                  "it is not called by hand");
  }
  const auto module = HostModule::parse(words);
  if (!module) return refuse(forkful::process::kHostModuleName, " is malformed");
  ::unsetenv(forkful::process::kHostModuleName);  // what the process starts has its own
  if (::dlopen(module->path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr) {
    return refuse("cannot load the library that a process was started from: ", ::dlerror());
  }
  try {
    // By the module's digest: the file may be that of another build by now.
    forkful::detail::function_at<void()>(module->entry)();
  } catch (const std::exception& error) {
    return refuse(error.what(), "");
  }
  return refuse("the library has returned", "");
}
