// Which loaded module a piece of code lies in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace forkful::process {

struct LoadedModule {
  std::string file;    // as it was loaded; empty for the program itself
  std::uint64_t base;  // what the addresses in its file are relative to
};
// nullopt: in none, such as code made at run time.
std::optional<LoadedModule> module_of(const void* code);

}  // namespace forkful::process
