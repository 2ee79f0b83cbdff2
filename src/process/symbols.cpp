// Names of functions, from the symbol tables of the modules' files: the linker's own table has also
// those that a module does not export.

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <forkful/errors.hpp>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "process/demangle.hpp"
#include "process/module_of.hpp"

namespace forkful {
namespace process {
namespace {

using Address = ElfW(Addr);

struct Located {
  std::string file;
  Address offset = 0;
};

Located locate(const void* code) {
  const auto module = module_of(code);
  if (!module) return {};
  return {module->file.empty() ? "/proc/self/exe" : module->file,
          reinterpret_cast<Address>(code) - module->base};
}

template <class T>
std::vector<T> read_table(std::ifstream& file, std::uint64_t at, std::uint64_t bytes) {
  std::vector<T> table(bytes / sizeof(T));
  file.seekg(static_cast<std::streamoff>(at));
  file.read(reinterpret_cast<char*>(table.data()),
            static_cast<std::streamsize>(table.size() * sizeof(T)));
  if (!file) table.clear();
  return table;
}

// The function at `offset` according to the table of that kind; empty where it has none.
std::string find_function(std::ifstream& file, const std::vector<ElfW(Shdr)>& sections,
                          std::uint32_t kind, Address offset) {
  for (const auto& section : sections) {
    if (section.sh_type != kind || section.sh_link >= sections.size()) continue;
    const auto symbols = read_table<ElfW(Sym)>(file, section.sh_offset, section.sh_size);
    const auto& names_at = sections[section.sh_link];
    const auto found = std::find_if(symbols.begin(), symbols.end(), [&](const auto& each) {
      return (each.st_info & 0xf) == STT_FUNC && offset - each.st_value < each.st_size;
    });
    if (found == symbols.end() || found->st_name >= names_at.sh_size) continue;
    auto names = read_table<char>(file, names_at.sh_offset, names_at.sh_size);
    if (names.empty()) continue;
    names.back() = '\0';
    // A part that the compiler has split off counts as the function.
    const std::string name = demangled(names.data() + found->st_name);
    return name.substr(0, name.find(" [clone"));
  }
  return {};
}

std::string function_at(const Located& place) {
  std::ifstream file(place.file, std::ios::binary);
  const auto heads = read_table<ElfW(Ehdr)>(file, 0, sizeof(ElfW(Ehdr)));
  if (heads.empty() || heads[0].e_shentsize != sizeof(ElfW(Shdr))) return {};
  const auto sections =
      read_table<ElfW(Shdr)>(file, heads[0].e_shoff, heads[0].e_shnum * sizeof(ElfW(Shdr)));
  std::string name = find_function(file, sections, SHT_SYMTAB, place.offset);
  return !name.empty() ? name : find_function(file, sections, SHT_DYNSYM, place.offset);
}

std::string short_name(const std::string& file) {
  std::error_code none;
  const auto linked = std::filesystem::read_symlink(file, none);
  return (none ? std::filesystem::path(file) : linked).filename().string();
}

std::string describe(detail::CodePlace place) {
  try {
    const Located here = locate(detail::address_of_place(place));
    const std::string name = function_at(here);
    char offset[32];
    std::snprintf(offset, sizeof offset, "+0x%llx", static_cast<unsigned long long>(here.offset));
    return (name.empty() ? "(no name)" : name) + " in " + short_name(here.file) + offset;
  } catch (const Error&) {
    return "(in a module that is not loaded here)";
  }
}

}  // namespace
}  // namespace process

inline namespace v0 {

std::string RemoteInfo::stack() const {
  std::string text;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    text += "#" + std::to_string(i) + " " + process::describe(frames[i]) + "\n";
  }
  return text;
}

}  // namespace v0
}  // namespace forkful
