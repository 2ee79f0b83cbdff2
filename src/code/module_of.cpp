// Looks through the list of loaded modules, which the loader guards by a lock of its own.
#include "code/module_of.hpp"

#include <link.h>

namespace forkful::process {

std::optional<LoadedModule> module_of(const void* code) {
  struct Search {
    ElfW(Addr) address;
    std::optional<LoadedModule> found;
  } search{reinterpret_cast<ElfW(Addr)>(code), {}};
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* into) {
        auto& look = *static_cast<Search*>(into);
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          const ElfW(Addr) begin = info->dlpi_addr + segment.p_vaddr;
          if (segment.p_type != PT_LOAD || look.address - begin >= segment.p_memsz) continue;
          look.found = {info->dlpi_name, info->dlpi_addr};
          return 1;
        }
        return 0;
      },
      &search);
  return search.found;
}

}  // namespace forkful::process
