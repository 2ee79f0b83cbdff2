// Functions on their way: an address becomes {digest of the module, offset in it}, which another
// process of the same build turns into an address again. Modules lie elsewhere in each process, and
// a child may have loaded them in another order.
//
// Any thread; nothing here is shared between processes, and nothing takes a lock.
#include <elf.h>
#include <link.h>

#include <atomic>
#include <cstring>
#include <forkful/detail/calls/code.hpp>
#include <forkful/errors.hpp>
#include <span>
#include <vector>

#include "kernel/process_info.hpp"

namespace forkful {
inline namespace v0 {
namespace detail {
namespace {

struct Module {
  std::uint64_t digest;
  std::uint64_t base;   // what its addresses are relative to
  std::uint64_t begin;  // of its code
  std::uint64_t end;
};

// FNV-1a.
std::uint64_t digest_of(std::span<const unsigned char> bytes) {
  std::uint64_t digest = 0xcbf29ce484222325;
  for (const unsigned char byte : bytes) digest = (digest ^ byte) * 0x100000001b3;
  return digest;
}

// The build id in a segment of notes; empty where there is none.
std::span<const unsigned char> build_id_in(const char* at, const char* end) {
  while (at + sizeof(ElfW(Nhdr)) <= end) {
    ElfW(Nhdr) note;
    std::memcpy(&note, at, sizeof note);
    // Name and data are padded to four bytes each.
    const char* data = at + sizeof note + ((note.n_namesz + 3) & ~3u);
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4) {
      return {reinterpret_cast<const unsigned char*>(data), note.n_descsz};
    }
    at = data + ((note.n_descsz + 3) & ~3u);
  }
  return {};
}

std::uint64_t digest_of(const dl_phdr_info& info) {
  for (int i = 0; i < info.dlpi_phnum; ++i) {
    const auto& segment = info.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const char* at = reinterpret_cast<const char*>(info.dlpi_addr + segment.p_vaddr);
    const auto id = build_id_in(at, at + segment.p_memsz);
    if (!id.empty()) return digest_of(id);
  }
  // A module without a build id is told by its file; another build of it has another time or size.
  // The program itself has no name in this list.
  const auto identity =
      kernel::file_identity(*info.dlpi_name != 0 ? info.dlpi_name : "/proc/self/exe");
  return digest_of({reinterpret_cast<const unsigned char*>(&identity), sizeof identity});
}

// The loaded modules that have code.
std::vector<Module> list_modules() {
  std::vector<Module> modules;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* into) {
        Module module{0, info->dlpi_addr, ~std::uint64_t{0}, 0};
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& segment = info->dlpi_phdr[i];
          if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
          const std::uint64_t begin = info->dlpi_addr + segment.p_vaddr;
          module.begin = begin < module.begin ? begin : module.begin;
          module.end = begin + segment.p_memsz > module.end ? begin + segment.p_memsz : module.end;
        }
        // A library that holds only data.
        if (module.end == 0) return 0;
        module.digest = digest_of(*info);
        static_cast<std::vector<Module>*>(into)->push_back(module);
        return 0;
      },
      &modules);
  return modules;
}

struct ModuleList {
  std::vector<Module> modules;
  const ModuleList* older;  // keeps it reachable
};

// What was loaded when last looked; modules that are loaded later make it look again. A list that
// is replaced is not freed, since others may be reading it; no lock, since a fork could copy it
// locked.
template <class Matches>
Module find(Matches&& matches, const char* complaint) {
  static std::atomic<const ModuleList*> known{nullptr};
  // Acquire, here and below: pairs with the exchange, so the list's contents are there.
  const ModuleList* list = known.load(std::memory_order_acquire);
  for (const bool look_again : {false, true}) {
    if (look_again || list == nullptr) {
      // Race: two threads may each list the modules; both lists stay, and either is good.
      auto* fresh = new ModuleList{list_modules(), known.load(std::memory_order_acquire)};
      // Pairs with the loads above.
      while (!known.compare_exchange_weak(fresh->older, fresh, std::memory_order_acq_rel)) {
      }
      list = fresh;
    }
    for (const Module& each : list->modules) {
      if (matches(each)) return each;
    }
  }
  throw Error(complaint);
}

}  // namespace

CodePlace place_of_address(const void* code) {
  const auto address = reinterpret_cast<std::uint64_t>(code);
  const Module module =
      find([&](const Module& each) { return address >= each.begin && address < each.end; },
           "a function to be sent to another process is in no module of this program; was it "
           "compiled at run time?");
  return {module.digest, address - module.base};
}

const void* address_of_place(CodePlace place) {
  const Module module =
      find([&](const Module& each) { return each.digest == place.module; },
           "a function that was sent here is in a module that is not loaded in this process, or "
           "of which another build is: all processes of a family must run the same build");
  const std::uint64_t address = module.base + place.offset;
  // The offset came from another process: a wild jump must not follow from a damaged message.
  if (address < module.begin || address >= module.end) {
    throw Error("a function that was sent here is outside the code of its module");
  }
  return reinterpret_cast<const void*>(address);
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
