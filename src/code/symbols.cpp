// Names of functions, from the symbol tables of the modules' files: the linker's own table has also
// those that a module does not export.
//
// Of a stack, what is around the program's function is left out: our own frames, and those of
// std::invoke between them.

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <forkful/errors.hpp>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "code/demangle.hpp"
#include "code/module_of.hpp"

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

// Empty where the file is shorter than its own tables say.
template <class T>
std::vector<T> read_table(std::ifstream& file, std::uint64_t at, std::uint64_t bytes) {
  std::vector<T> table(bytes / sizeof(T));
  file.seekg(static_cast<std::streamoff>(at));
  file.read(reinterpret_cast<char*>(table.data()),
            static_cast<std::streamsize>(table.size() * sizeof(T)));
  if (!file) table.clear();
  return table;
}

// The function at `offset`, as the linker names it, according to the table of that kind; empty
// where it has none.
std::string find_function(std::ifstream& file, const std::vector<ElfW(Shdr)>& sections,
                          std::uint32_t kind, Address offset) {
  for (const auto& section : sections) {
    if (section.sh_type != kind || section.sh_link >= sections.size()) continue;
    const auto symbols = read_table<ElfW(Sym)>(file, section.sh_offset, section.sh_size);
    const auto& names_at = sections[section.sh_link];
    const auto found = std::find_if(symbols.begin(), symbols.end(), [&](const auto& each) {
      // Unsigned: an offset before the function becomes a huge number.
      return (each.st_info & 0xf) == STT_FUNC && offset - each.st_value < each.st_size;
    });
    if (found == symbols.end() || found->st_name >= names_at.sh_size) continue;
    auto names = read_table<char>(file, names_at.sh_offset, names_at.sh_size);
    if (names.empty()) continue;
    // The file may be anything by now: a name must end within the table.
    names.back() = '\0';
    return names.data() + found->st_name;
  }
  return {};
}

// Reads the file anew for each frame: this runs only when somebody asks for a stack.
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

struct Frame {
  bool is_ours = false;      // of what calls the program's functions
  bool is_programs = false;  // by its name neither ours nor the standard library's
  std::string text;
};

// The name itself says whose a function is, and not its template arguments or its result: in
// _ZZN7forkful2v06detail4workIiEEvvENKUlvE_clEv it begins after the letters that tell of nesting.
Frame named(const std::string& symbol) {
  std::string_view name = symbol;
  name.remove_prefix(std::min(name.size(), name.find_first_not_of("_ZNK")));
  Frame frame;
  frame.is_ours = name.starts_with("7forkful2v06detail") || name.starts_with("7forkful7process");
  frame.is_programs = !name.empty() && !frame.is_ours && !name.starts_with("St");
  // A part that the compiler has split off counts as the function.
  frame.text = demangled(symbol.c_str());
  frame.text.resize(std::min(frame.text.size(), frame.text.find(" [clone")));
  if (frame.text.empty()) frame.text = "(no name)";
  return frame;
}

Frame frame_at(detail::CodePlace place) {
  try {
    const Located here = locate(detail::address_of_place(place));
    Frame frame = named(function_at(here));
    char offset[32];
    std::snprintf(offset, sizeof offset, "+0x%llx", static_cast<unsigned long long>(here.offset));
    frame.text += " in " + short_name(here.file) + offset;
    return frame;
  } catch (const Error&) {
    return {.text = "(in a module that is not loaded here)"};
  }
}

// Takes off the outermost frames up to the program's function. Where that was inlined in one of
// ours, ours is what there is to show.
void leave_out_ours(std::vector<Frame>& frames) {
  // The function that the program gave us is the outermost frame that is neither ours nor the
  // standard library's.
  const auto outermost = std::find_if(frames.rbegin(), frames.rend(),
                                      [](const Frame& frame) { return frame.is_programs; });
  if (outermost != frames.rend()) {
    frames.erase(outermost.base(), frames.end());
    return;
  }
  const auto innermost =
      std::find_if(frames.begin(), frames.end(), [](const Frame& frame) { return frame.is_ours; });
  if (innermost != frames.end()) frames.erase(innermost + 1, frames.end());
}

}  // namespace
}  // namespace process

inline namespace v0 {

std::string RemoteInfo::stack() const {
  std::vector<process::Frame> shown;
  shown.reserve(frames.size());
  for (const detail::CodePlace place : frames) shown.push_back(process::frame_at(place));
  process::leave_out_ours(shown);
  std::string text;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    text += "#" + std::to_string(i) + " " + shown[i].text + "\n";
  }
  return text;
}

}  // namespace v0
}  // namespace forkful
