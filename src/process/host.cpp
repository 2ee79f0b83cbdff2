// Finding and executing forkful-host; host.hpp says what it is for. Called by starters, in any
// thread, and (run_hosted) by the host's main().
#include "process/host.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <forkful/errors.hpp>
#include <locale>
#include <sstream>
#include <string_view>

#include "code/module_of.hpp"
#include "kernel/child.hpp"
#include "kernel/process_info.hpp"
#include "process/start.hpp"

#ifndef FORKFUL_HOST_PATH  // where it is installed
#define FORKFUL_HOST_PATH ""
#endif

namespace forkful::process {
namespace {

// The file of the library that this engine is part of; empty for the program itself.
std::string library_of_engine() {
  // By an address of the engine's own code, which is in the module that it was linked into.
  const auto module = module_of(reinterpret_cast<const void*>(&run_hosted));
  if (!module || module->file.empty()) return {};
  // Loaded by a relative name; the child starts in this process's working directory.
  return std::filesystem::absolute(module->file).string();
}

// The shell's rules: an empty entry is the working directory, the one after a last colon as well.
std::string in_path(const char* name) {
  const char* list = std::getenv("PATH");
  if (list == nullptr) return {};
  for (std::string_view rest = list;;) {
    const std::string_view folder = rest.substr(0, rest.find(':'));
    std::string path = std::string(folder.empty() ? "." : folder) + "/" + name;
    if (kernel::is_executable(path)) return path;
    if (folder.size() == rest.size()) return {};
    rest.remove_prefix(folder.size() + 1);
  }
}

}  // namespace

// The path comes last, since it may hold any character but zero, semicolons included.
std::string HostModule::text() const {
  // Room for the name and two numbers at their longest.
  char words[96];
  std::snprintf(words, sizeof words, "%s=%" PRIu64 ";%" PRIu64 ";", kHostModuleName, entry.module,
                entry.offset);
  return words + path;
}

std::optional<HostModule> HostModule::parse(const char* words) {
  HostModule module;
  std::istringstream from(words);
  // A program's own locale may group digits.
  from.imbue(std::locale::classic());
  // Any program may have set the variable, so what is between the numbers is looked at as well.
  char behind[2] = {};
  from >> module.entry.module >> behind[0] >> module.entry.offset >> behind[1];
  if (from.fail() || behind[0] != ';' || behind[1] != ';') return std::nullopt;
  std::getline(from, module.path, '\0');
  return module;
}

// What each refusal says is for its own reader: the first for whoever writes a program, the others
// for whoever writes a library that is loaded by one.
std::string require_host() {
  if (library_of_engine().empty()) {
    throw NotInitialized(
        "a process is started by executing this program once more, and forkful::init(argc, argv) "
        "has not been called. Remedy: call it first in main, or link forkful::auto_main, which "
        "does; make a global Pool or Process in main after it; or start with .context = "
        "Context::fork");
  }
  // Before the environment is looked at, which the program's caller has chosen.
  if (kernel::has_rights_of_its_file()) {
    throw NotInitialized(
        "a library starts a process through the program forkful-host, which a program with rights "
        "of its file (setuid, setgid or capabilities) does not look for; start with .context = "
        "Context::fork");
  }
  // What is named and is not there is an error: another host than the one that was meant must not
  // run instead.
  if (const char* named = std::getenv("FORKFUL_HOST"); named != nullptr && *named != 0) {
    if (kernel::is_executable(named)) return named;
    throw NotInitialized(std::string("the environment's FORKFUL_HOST names ") + named +
                         ", and there is no such program; it has to be that of forkful-host");
  }
  std::string installed = FORKFUL_HOST_PATH;
  if (!installed.empty() && kernel::is_executable(installed)) return installed;
  if (std::string found = in_path("forkful-host"); !found.empty()) return found;
  throw NotInitialized(
      "a library starts a process, in a program whose main does not call forkful::init: this "
      "needs the program forkful-host, and it is neither in " +
      (installed.empty() ? "" : std::filesystem::path(installed).parent_path().string() + " nor ") +
      "in PATH; install it, or say in the environment's FORKFUL_HOST where it is, or start with "
      ".context = Context::fork");
}

int execute_host(const Marker& marker, std::span<const int> kept) {
  const std::string host = require_host();
  // The entry goes as a digest of the module and an offset in it, since the host loads the library
  // at another address.
  const HostModule module{detail::place_of(&run_hosted), library_of_engine()};
  return kernel::execute(host, {"forkful-host"}, {marker.text(), module.text()}, kept);
}

void run_hosted() {
  become_what_is_marked();
  // It returns only where there is no marker.
  std::fprintf(stderr, "forkful: a process cannot start: forkful-host was given no %s\n",
               kMarkerName);
  std::exit(1);
}

}  // namespace forkful::process
