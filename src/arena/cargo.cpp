// Loading a cargo with what a message names, and taking it apart. A cargo is filled in several
// commits, and its count says at every moment how many entries are held; so a death in the middle
// leaves nothing that would be given back twice or not at all.
#include "arena/cargo.hpp"

#include <algorithm>

#include "arena/objects.hpp"
#include "arena/shares.hpp"
#include "kernel/fault.hpp"

namespace forkful::arena {
namespace {

Offset count_of(Offset cargo) { return cargo + sizeof(ObjectHeader); }
Offset entry_at(Offset cargo, std::uint64_t index) {
  return count_of(cargo) + (index + 1) * sizeof(Offset);
}
constexpr std::uint64_t cargo_bytes(std::uint64_t entries) {
  return sizeof(ObjectHeader) + (entries + 1) * sizeof(Offset);
}

// One holding at a time; the last entry first, so that the count always says where the rest is.
bool take_apart(Journal& journal, Offset cargo) {
  const std::uint64_t count = journal.get(count_of(cargo));
  if (count == 0) return true;
  if (cargo_bytes(count) > at<ObjectHeader>(cargo).bytes) return true;  // damaged
  stage_release(journal, entry_at(cargo, count - 1));
  journal.set(count_of(cargo), count - 1);
  return false;
}

const OnLastRelease g_cargo(Kind::cargo, take_apart);

// Two entries of the journal each, beside some 30 for a new cargo.
constexpr std::size_t kSharesInCommit = 16;

}  // namespace

namespace {

// Stages the next of the objects into the block's cargo, and commits. Returns how many are in it.
std::size_t load_some(Offset run, std::span<const Offset> objects, std::size_t done,
                      sync::IfStuck if_stuck) {
  ArenaJournal journal(if_stuck);
  const Offset entry = stage_run_entry(journal, run);
  const Offset held = journal.get(entry);
  std::uint64_t count = 0;
  Offset cargo = held;
  if (done == 0) {
    // A block that has a cargo already gets a new one, which holds the older one.
    cargo = stage_create(journal, Kind::cargo, 0, cargo_bytes(objects.size() + (held != 0 ? 1 : 0)),
                         entry);
    if (held != 0) journal.set(entry_at(cargo, count++), held);
  } else {
    count = journal.get(count_of(cargo));
  }
  const std::size_t end = std::min(objects.size(), done + kSharesInCommit);
  for (; done < end; ++done) stage_hold(journal, objects[done], entry_at(cargo, count++));
  journal.set(count_of(cargo), count);
  journal.commit();
  return done;
}

}  // namespace

void load_cargo(Offset run, std::span<const Offset> objects, sync::IfStuck if_stuck) {
  for (std::size_t done = 0; done < objects.size();) {
    done = load_some(run, objects, done, if_stuck);
    FORKFUL_FAULT("cargo.loading");
  }
}

Held* make_parcel(std::span<const Offset> objects) {
  // The parcel's creation has a commit of its own, and holds nothing at first.
  Held* parcel = create_object(
      Kind::cargo, {}, cargo_bytes(objects.size()), [](void*, std::byte*) {}, nullptr);
  const Offset cargo = parcel->object;
  for (std::size_t done = 0; done < objects.size();) {
    ArenaJournal journal;
    const std::size_t end = std::min(objects.size(), done + kSharesInCommit);
    for (; done < end; ++done) stage_hold(journal, objects[done], entry_at(cargo, done));
    journal.set(count_of(cargo), done);
    journal.commit();
    FORKFUL_FAULT("cargo.loading");
  }
  return parcel;
}

void send_parcel(Offset parcel) {
  ArenaJournal journal;
  // From here on it lives though its sender lets it go, until end_parcel().
  stage_pin(journal, parcel);
  journal.commit();
}

void end_parcel(Offset parcel, std::uint64_t serial) {
  {
    ArenaJournal journal;
    if (!is_object(journal, parcel, Kind::cargo, serial)) return;
    stage_unpin(journal, parcel);
    journal.commit();
  }
  bury_the_dying();
}

}  // namespace forkful::arena
