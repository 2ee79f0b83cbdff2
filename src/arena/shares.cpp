// This process's shares in objects of the arena: making, adopting, counting uses, and giving back
// with the last use. bytes::Shared is a use of a share.
//
// Any thread, under Local::mutex where the table of shares changes. A death in here leaves an entry
// in this member's list or none; whoever reaps the member gives back what the list names.
#include "arena/shares.hpp"

#include <algorithm>
#include <forkful/errors.hpp>
#include <string>
#include <vector>

#include "arena/cargo.hpp"
#include "arena/labels.hpp"
#include "arena/local.hpp"
#include "arena/membership.hpp"
#include "arena/own_run.hpp"

namespace forkful::arena {
namespace {

using sync::IfStuck;

// The object's bytes, which another member may have written over.
std::uint64_t believable_bytes(Offset object, std::uint64_t least) {
  const std::uint64_t bytes = at<ObjectHeader>(object).bytes;
  if (bytes < least || !is_allocated(object, bytes)) damaged();
  return bytes;
}

// Enters the share in this process's table. Requires: the entry names the object.
Held* keep(Local& here, Offset object, std::uint64_t entry, std::uint64_t least_bytes)
    FORKFUL_REQUIRES(here.mutex) {
  // Read once: the word may change later, and what is kept here bounds what this process touches.
  const std::uint64_t bytes = believable_bytes(object, least_bytes);
  std::byte* const address = at(object, bytes);
  Held* held = new Held;
  held->object = object;
  held->address = address;
  held->bytes = bytes;
  held->serial = serial_in(at<ObjectHeader>(object).kind_and_serial);
  held->entry = entry;
  here.held.emplace(object, held);
  return held;
}

// Zeroed memory of this member's, for objects that take long to zero; nothing for others.
OwnRun large_memory(std::uint64_t bytes) {
  // A guess: zeroing as much takes some microseconds under the arena's lock.
  constexpr std::uint64_t kLarge = 64 << 10;
  if (bytes < kLarge) return {};
  OwnRun run(allocate_run(bytes));
  zero_run(run.get(), bytes);
  return run;
}

[[noreturn]] void refuse_alien(Kind kind) {
  throw Error(std::string("this ") + name_of(kind) +
              " belongs to another family of processes, whose memory this process does not "
              "share: it was pickled there and read here. Only processes that forkful started, and "
              "those they started, share objects: make it in a common ancestor and pass it to the "
              "Process or Pool, or send it through a queue of that family");
}

}  // namespace

std::vector<Offset> objects_of(bytes::Shares shares) {
  std::vector<Offset> objects;
  objects.reserve(shares.size());
  for (const bytes::Shared& each : shares) objects.push_back(each.id().offset);
  return objects;
}

void give_shares(MemberId child, std::span<const bytes::Shared> objects) {
  std::vector<Offset> offsets = objects_of(objects);
  std::sort(offsets.begin(), offsets.end());  // one share is enough of what comes twice
  offsets.erase(std::unique(offsets.begin(), offsets.end()), offsets.end());
  if (offsets.size() > kFirstHoldings) {
    // The child is not there yet and its list is empty still: a longer one takes its place.
    ArenaJournal journal;
    const Offset list = member(child).holdings;
    journal.set(kMembersAt + child.index() * sizeof(Member) + offsetof(Member, holdings),
                stage_holdings(journal, offsets.size()));
    stage_free(journal, list, holdings_bytes(kFirstHoldings));
    journal.commit();
  }
  // A commit for each, since the journal has no room for any number. After a death in between, the
  // shares given by then are in the list of a member that never begins, which a sweep gives back.
  const Offset list = member(child).holdings;
  for (std::uint64_t i = 0; i < offsets.size(); ++i) {
    ArenaJournal journal;
    stage_hold(journal, offsets[i], holding_at(list, i));
    journal.commit();
  }
}

static_assert(Label::kMostBytes + 1 == sizeof(LabelWords::text), "a label is kept whole");

// The entry is taken first, and the commit that makes the object names it there; so no object is
// ever without a holder.
Held* create_object(Kind kind, const Label& label, std::uint64_t bytes,
                    void (*fill)(void*, std::byte*), void* context) {
  join_family();
  // Outside of what is begun again where a lock is stuck, so that it is zeroed once.
  OwnRun large = large_memory(bytes);
  return sync::get_through([&] {
    // It takes the arena's lock itself, so it comes before the journal below.
    const std::uint64_t called = number_of_label(label.text());
    Local& here = local();
    const BareGuard lock(here.mutex);
    const std::uint64_t entry = take_entry(here);
    Offset object = 0;
    try {
      ArenaJournal journal(IfStuck::leave);
      object = stage_create(journal, kind, called, bytes, entry_at(here, entry), large.get());
      // Nobody else knows the memory before the commit, so it is filled by plain stores.
      fill(context, at(object, bytes));
      journal.commit();
      // Only now: until the commit it is this member's run, freed where anything above throws.
      large.release();
    } catch (...) {
      here.free_entries.push_back(entry);
      throw;
    }
    // From the commit on the entry names the object. Where this fails, it does so until the end of
    // this member: another object's entry it must not become.
    return keep(here, object, entry, bytes);
  });
}

namespace {

// The share in it that this process has or was born with; nullptr: none. Throws: Error, StuckLock.
Held* find_share(Local& here, Kind kind, Offset object, std::uint64_t serial,
                 std::uint64_t least_bytes) FORKFUL_REQUIRES(here.mutex) {
  if (const auto found = here.held.find(object); found != here.held.end() &&
                                                 found->second->serial == serial &&
                                                 kind_in(at<std::uint64_t>(object)) == kind) {
    // Relaxed: whoever ends the last use has the mutex, too.
    found->second->uses.fetch_add(1, std::memory_order_relaxed);
    return found->second;
  }
  // Its starter has entered the share in this member's list (give_shares()), so the object is held
  // already and nothing is staged. Of which kind it is, only the caller claims.
  const auto share = here.given.find(object);
  if (share == here.given.end()) return nullptr;
  {
    ArenaJournal journal(IfStuck::leave);
    if (!is_object(journal, object, kind, serial)) {
      throw Error(std::string("what came with this process's start is no ") + name_of(kind));
    }
  }
  const std::uint64_t entry = share->second;
  here.given.erase(share);
  return keep(here, object, entry, least_bytes);
}

}  // namespace

Held* adopt_object(Kind kind, const bytes::Shared::Id& id, std::uint64_t least_bytes) {
  join_family();
  if (id.family != header().family_id) refuse_alien(kind);
  return sync::get_through([&] {
    const auto [family, object, serial] = id;
    Local& here = local();
    const BareGuard lock(here.mutex);
    // First what this process has already: it has one share in an object, however many handles name
    // it.
    if (Held* held = find_share(here, kind, object, serial, least_bytes)) return held;
    const std::uint64_t entry = take_entry(here);
    try {
      // Looked at under the lock that the share is entered with: nobody can free it in between.
      ArenaJournal journal(IfStuck::leave);
      if (!is_object(journal, object, kind, serial)) {
        throw Error(std::string("the ") + name_of(kind) +
                    " that came to this process is gone: nobody held it any more. A handle that is "
                    "pickled by hand keeps what it names; one that was read from a message by hand "
                    "does not outlive it");
      }
      (void)believable_bytes(object, least_bytes);
      stage_hold(journal, object, entry_at(here, entry));
      journal.commit();
    } catch (...) {
      // Nothing was committed, so the entry names nothing still.
      here.free_entries.push_back(entry);
      throw;
    }
    return keep(here, object, entry, least_bytes);
  });
}

namespace {

// Ends one use of several; false where it is the only one.
bool end_a_use(Held* held) {
  // Release and acquire: what every user did with the share comes before its end.
  std::uint32_t uses = held->uses.load(std::memory_order_acquire);
  while (uses > 1) {
    if (held->uses.compare_exchange_weak(uses, uses - 1, std::memory_order_acq_rel)) return true;
  }
  return false;
}

// True when the share is given back with it. Throws: StuckLock; then the use has not ended.
bool end_last_use(Held* held) {
  Local& here = local();
  // It may be found again by adopt_object() until it leaves the table.
  const BareGuard lock(here.mutex);
  if (end_a_use(held)) return false;
  try {
    // Not in a child that found no place in the family, which has nothing to give back.
    if (get_self()) {
      ArenaJournal journal(IfStuck::leave);
      stage_release(journal, entry_at(here, held->entry));
      journal.commit();
    }
    here.free_entries.push_back(held->entry);
  } catch (const std::exception&) {
    // Why: destructors give back. What is damaged, or cannot be mapped here, stays this member's
    // until its end.
  }
  here.held.erase(held->object);
  delete held;
  return true;
}

void give_back(Held* held) noexcept {
  if (end_a_use(held)) return;
  const bool last = sync::get_through([&] { return end_last_use(held); });
  // After the mutex: what dies may have to be taken apart in many commits.
  if (last && get_self()) bury_the_dying();
}

}  // namespace
}  // namespace forkful::arena

namespace forkful {
inline namespace v0 {
namespace bytes {

Shared::Shared(const Shared& other) noexcept : held_(other.held_) {
  // Relaxed: the handle that is copied is a use, so the share cannot end meanwhile.
  if (held_ != nullptr) held_->uses.fetch_add(1, std::memory_order_relaxed);
}

Shared::~Shared() {
  if (held_ != nullptr) arena::give_back(held_);
}

std::string Shared::label() const {
  return arena::label_text(arena::at<arena::ObjectHeader>(held().object).label);
}

std::string Shared::called(const char* kind) const {
  const std::string name = label();
  return name.empty() ? kind : std::string(kind) + " \"" + name + '"';
}

Shared::Id Shared::id() const { return {arena::header().family_id, held().object, held().serial}; }

void Shared::pin() const {
  arena::ArenaJournal journal;
  arena::stage_pin(journal, held().object);
  journal.commit();
}

Parcel::Parcel(Shares shares) { held_ = arena::make_parcel(arena::objects_of(shares)); }

void Parcel::sent() const { arena::send_parcel(held_->object); }

void Parcel::received(const Id& id) {
  if (!arena::has_family() || id.family != arena::header().family_id) return;
  arena::end_parcel(id.offset, id.serial);
}

arena::Held& Shared::held() const {
  if (held_ == nullptr) throw Error("this handle is empty: what it shared was moved elsewhere");
  return *held_;
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
