// Objects of the arena: their headers, who holds them, and taking apart what nobody holds any more.
// Everything is a commit of the arena's journal, so a member that dies in the middle leaves a list
// that any other goes on with.
#include "arena/objects.hpp"

#include <cstddef>
#include <cstring>
#include <forkful/errors.hpp>

#include "kernel/fault.hpp"

namespace forkful::arena {
namespace {

// Above every count of members.
constexpr std::uint64_t kPinned = 1ull << 32;
constexpr Offset kDyingAt = kHeaderAt + offsetof(Header, dying);
constexpr Offset kNextSerialAt = kHeaderAt + offsetof(Header, next_serial);

// Filled before main() by the rooms that have the kinds, and not changed any more.
TakeApart g_take_apart[kKinds];

Offset holders_of(Offset object) { return object + offsetof(ObjectHeader, holders); }
Offset link_of(Offset object) { return object + offsetof(ObjectHeader, link); }

// Of an object whose memory is damaged the rest is leaked: that is better than an abort of whoever
// happens to take it apart.
bool take_step(TakeApart step, Journal& journal, Offset object) {
  try {
    return step(journal, object);
  } catch (const Error&) {
    journal.drop();
    return true;
  }
}

// What nobody holds any more goes on the list of the dying.
void set_holders(Journal& journal, Offset object, std::uint64_t holders) {
  journal.set(holders_of(object), holders);
  if (holders == 0) {
    journal.set(link_of(object), journal.get(kDyingAt));
    journal.set(kDyingAt, object);
  }
}

}  // namespace

bool can_be_object(Offset object) {
  return object % base::kCacheLine == 0 && can_be_page(object - object % kPageBytes) &&
         object / kWindowBytes < std::atomic_ref(header().windows_used).load();
}

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::lock:
      return "Lock";
    case Kind::rlock:
      return "RLock";
    case Kind::semaphore:
      return "Semaphore";
    case Kind::event:
      return "Event";
    case Kind::cell:
      return "Value";
    case Kind::queue:
      return "Queue";
    case Kind::pool:
      return "Pool";
    case Kind::condition:
      return "Condition";
    case Kind::barrier:
      return "Barrier";
    case Kind::dict:
      return "Dict";
    case Kind::task_count:
      return "JoinableQueue";
    default:
      return "shared object";
  }
}

void on_last_release(Kind kind, TakeApart step) noexcept {
  g_take_apart[static_cast<int>(kind)] = step;
}

Offset stage_create(Journal& journal, Kind kind, std::uint64_t label, std::uint64_t bytes,
                    Offset entry, Offset run) {
  Offset object = run;
  if (run != 0) {
    stage_owner(journal, run, kFamilyOwned);
  } else {
    object = stage_allocate(journal, bytes);
    // Everything but the header may be written before the commit: a free small block keeps only its
    // link.
    std::memset(at(object, bytes) + sizeof(ObjectHeader), 0, bytes - sizeof(ObjectHeader));
  }
  const std::uint64_t serial = journal.get(kNextSerialAt) + 1;
  journal.set(kNextSerialAt, serial);
  journal.set(object + offsetof(ObjectHeader, kind_and_serial),
              static_cast<std::uint64_t>(kind) | (serial << 16));
  journal.set(holders_of(object), 1);
  journal.set(object + offsetof(ObjectHeader, bytes), bytes);
  journal.set(link_of(object), 0);
  at<ObjectHeader>(object, bytes).label = label;  // a free small block keeps its link only
  journal.set(entry, object);
  return object;
}

void stage_hold(Journal& journal, Offset object, Offset entry) {
  journal.set(holders_of(object), journal.get(holders_of(object)) + 1);
  journal.set(entry, object);
}

void stage_release(Journal& journal, Offset entry) {
  const Offset object = journal.get(entry);
  if (object == 0) return;
  if (!can_be_object(object)) {
    journal.set(entry, 0);  // damaged: nothing that it names is touched
    return;
  }
  journal.set(entry, 0);
  set_holders(journal, object, journal.get(holders_of(object)) - 1);
}

void stage_pin(Journal& journal, Offset object) {
  journal.set(holders_of(object), journal.get(holders_of(object)) | kPinned);
}

void stage_unpin(Journal& journal, Offset object) {
  const std::uint64_t holders = journal.get(holders_of(object));
  if ((holders & kPinned) != 0) set_holders(journal, object, holders & ~kPinned);
}

bool is_object(Journal& journal, Offset object, Kind kind, std::uint64_t serial) {
  if (!can_be_object(object)) return false;
  return journal.get(object) == (static_cast<std::uint64_t>(kind) | (serial << 16)) &&
         journal.get(holders_of(object)) != 0;
}

namespace {

// Stages one step of taking the first of the dying apart.
void stage_burial(Journal& journal, Offset object) {
  const std::uint64_t kind_and_serial = journal.get(object);
  // 0: it was freed before, so the list leads in a circle or elsewhere.
  if (kind_and_serial == 0 || !can_be_object(object)) damaged();
  const TakeApart step = g_take_apart[static_cast<int>(kind_in(kind_and_serial)) % kKinds];
  if (step != nullptr && !take_step(step, journal, object)) return;
  journal.set(kDyingAt, journal.get(link_of(object)));
  // No id fits it any more, even before the memory has another user.
  journal.set(object + offsetof(ObjectHeader, kind_and_serial), 0);
  stage_free(journal, object, journal.get(object + offsetof(ObjectHeader, bytes)));
}

// False when none is dying.
bool bury_one() {
  // Acquire: pairs with the commit that entered it. A look in vain costs little, and whoever enters
  // one looks after its commit.
  if (std::atomic_ref(header().dying).load(std::memory_order_acquire) == 0) return false;
  ArenaJournal journal;
  const Offset object = journal.get(kDyingAt);
  if (object == 0) return false;
  FORKFUL_FAULT("objects.burying");
  try {
    stage_burial(journal, object);
  } catch (const Error&) {
    journal.drop();
    journal.set(kDyingAt, 0);  // nobody can tell what else a damaged list names
  }
  journal.commit();
  return true;
}

}  // namespace

void bury_the_dying() noexcept {
  try {
    while (bury_one()) {
    }
  } catch (const std::exception&) {
    // Why: destructors come here. What cannot be mapped in this process is left to others.
  }
  tidy_heap();
}

}  // namespace forkful::arena
