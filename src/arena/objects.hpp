// Objects of the arena and who holds them.
//
// Each object counts the members that hold it, and each member's holdings are listed in the arena,
// so that whoever reaps a dead member gives back what it held. The last holder's release puts an
// object on the list of the dying, from which it is taken apart in steps; a member killed in
// between leaves the rest of the work on the list.
#pragma once

#include "arena/heap.hpp"

namespace forkful::arena {

enum class Kind : std::uint16_t {
  none,
  lock,
  rlock,
  semaphore,
  event,
  cell,
  queue,
  pool,
  condition,
  barrier,
  task_count,
  cargo,  // what a block holds: see cargo.hpp
  dict,
};
// Room for some more; the header has 16 bits for the kind.
inline constexpr int kKinds = 16;

// Stages one step of taking an object apart. Returns true when only the object itself is left. A
// step that ends a holding returns false: what nobody holds then goes ahead of this object.
using TakeApart = bool (*)(Journal& journal, Offset object);
void on_last_release(Kind kind, TakeApart step) noexcept;
// Does so before main, as a global of the room that has the kind.
struct OnLastRelease {
  OnLastRelease(Kind kind, TakeApart step) noexcept { on_last_release(kind, step); }
};

constexpr Kind kind_in(std::uint64_t kind_and_serial) {
  return static_cast<Kind>(kind_and_serial & 0xffff);
}
constexpr std::uint64_t serial_in(std::uint64_t kind_and_serial) { return kind_and_serial >> 16; }

// Stages a new object whose one holder is entered at `entry`. Its body reads as zero until the
// caller fills it, which must happen before commit() and must spare the ObjectHeader.
// `label`: what it is called, by labels.hpp.
// `run`: memory for it that belongs to this member and reads as zero after the header, for an
// object so large that nobody should wait while it is zeroed; 0: allocate.
Offset stage_create(Journal& journal, Kind kind, std::uint64_t label, std::uint64_t bytes,
                    Offset entry, Offset run = 0);
// Stages another holder, entered at `entry`.
void stage_hold(Journal& journal, Offset object, Offset entry);
// Stages the end of the holding that is entered at `entry`, if one is.
void stage_release(Journal& journal, Offset entry);
// Keeps the object though nobody holds it: for the family's life, where somebody pickled a handle
// by hand; until stage_unpin(), where it is a parcel.
void stage_pin(Journal& journal, Offset object);
void stage_unpin(Journal& journal, Offset object);
// What an object of the kind is called in a message for people.
[[nodiscard]] const char* name_of(Kind kind);
// Whether an object can begin there. For offsets that another process wrote.
[[nodiscard]] bool can_be_object(Offset object);
// Whether `object` is one of that kind and serial. For handles that came as bytes.
[[nodiscard]] bool is_object(Journal& journal, Offset object, Kind kind, std::uint64_t serial);

// Takes apart whatever is dying, but for what cannot be mapped here, which others bury. Call
// without the arena's journal locked.
void bury_the_dying() noexcept;

}  // namespace forkful::arena
