// Changes of a dict. Each is one list of words in one journal; DICT.md has the lists, and what a
// death leaves.
//
// What is new is filled by plain stores: a cell that was just taken, but for its first word, and a
// run of this member. Everything else is staged.
#include "state/change.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"
#include "state/hash.hpp"

namespace forkful::state {
namespace {

constexpr std::uint64_t kWord = sizeof(std::uint64_t);

Offset words_of(Offset object) { return object + arena::Held::body_at<DictWords>(); }

// Where the slabs' first memory begins, from the object's beginning.
constexpr std::uint64_t kFirstCell =
    base::round_up(arena::Held::body_at<DictWords>() + sizeof(DictWords), kCellUnit);
// Room for the index of an empty dict, at least.
static_assert(kFirstCell + 512 < kDictBytes);

std::uint64_t word_in(Bytes bytes, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + at, std::min<std::size_t>(bytes.size() - at, kWord));
  return word;
}

// A cell that was just taken: its first word may link free cells until the commit.
void fill_cell(Journal& journal, Offset cell, Bytes bytes) {
  journal.set(cell, word_in(bytes, 0));
  if (bytes.size() <= kWord) return;
  std::memcpy(arena::at(cell) + kWord, bytes.data() + kWord, bytes.size() - kWord);
}

}  // namespace

std::uint64_t hash_of(Bytes key) {
  const arena::Header& head = arena::header();
  return SipHash({head.hash_key[0], head.hash_key[1]}).of(key);
}

Change::Change(const arena::Held* held)
    : at_(held->body_offset<DictWords>()),
      words_(held->body<DictWords>()),
      object_end_(held->object + kDictBytes),
      journal_(words_.journal, sync::IfStuck::leave),
      slabs_(at_ + offsetof(DictWords, slabs)),
      index_(at_ + offsetof(DictWords, root), at_ + offsetof(DictWords, serial), slabs_) {}

Offset Change::first_cell() const { return object_end_ - kDictBytes + kFirstCell; }

Change::Found Change::find(Bytes key) const {
  const std::uint64_t hash = hash_of(key);
  return {hash, index_.find(hash, key)};
}

Journal& Change::open(bool with_heap) {
  open_ = with_heap ? &heap_.emplace(sync::IfStuck::leave) : &journal_;
  return *open_;
}

void Change::commit() {
  open_->commit();
  heap_.reset();
}

void Change::add(std::size_t offset, std::int64_t more) {
  open_->set(field(offset), open_->get(field(offset)) + static_cast<std::uint64_t>(more));
}

Place Change::lay(Place place, Bytes value, Offset run) const {
  place.bytes = value.size();
  place.lies = run != 0                                ? Lies::in_run
               : value.size() > place.capacity * kWord ? Lies::in_cell
                                                       : Lies::inlined;
  return place;
}

void Change::insert(Found found, Bytes key, Bytes form, Bytes value, Offset run) {
  const Place place = lay(Record::place_for(key.size(), form.size(), value.size()), value, run);
  const std::uint64_t area =
      sizeof(Record) + Record::padded(key.size()) + Record::padded(form.size());
  const std::uint64_t bytes = area + place.capacity * kWord;
  const bool has_cell = place.lies == Lies::in_cell;
  if (index_.make_room(journal_, found.hash)) found = find(key);
  slabs_.make_room(cell_bytes(bytes) + (has_cell ? cell_bytes(value.size()) : 0));

  Journal& journal = open(run != 0);
  index_.stage_begin(journal, found.place);
  const Offset at = slabs_.take(journal, bytes);
  auto& record = arena::at<Record>(at);
  journal.set(at + offsetof(Record, next), 0);
  record.prev = words_.tail;
  record.key_bytes = static_cast<std::uint32_t>(key.size());
  record.form_bytes = static_cast<std::uint32_t>(form.size());
  record.place = place.word();
  std::byte* to = arena::at(at) + sizeof(Record);
  std::ranges::copy(key, to);
  std::ranges::copy(form, to + Record::padded(key.size()));
  if (place.lies == Lies::inlined) {
    std::ranges::copy(value, arena::at(at) + area);
  } else {
    word(at + area) = run;
    if (has_cell) {
      const Offset cell = slabs_.take(journal, value.size());
      fill_cell(journal, cell, value);
      word(at + area) = cell;
    }
  }
  if (run != 0) arena::stage_owner(journal, run, arena::kFamilyOwned);
  index_.stage_insert(journal, found.place, found.hash, at);
  journal.set(
      words_.tail != 0 ? words_.tail + offsetof(Record, next) : field(offsetof(DictWords, head)),
      at);
  journal.set(field(offsetof(DictWords, tail)), at);
  add(offsetof(DictWords, count), 1);
  add(offsetof(DictWords, structure), 1);
  add(offsetof(DictWords, serial), 1);
  if (run != 0) add(offsetof(DictWords, runs), 1);
  index_.stage_end(journal, found.place);
  commit();
}

void Change::stage_drop(const Record& record) {
  const Place place = Place::of(record.place);
  if (place.lies == Lies::inlined) return;
  const Bytes old = value_of(record);
  const Offset where = where_of(record);
  if (place.lies == Lies::in_cell) {
    slabs_.give(*open_, where, old.size());
  } else {
    arena::stage_free(*open_, where, old.size());
    add(offsetof(DictWords, runs), -1);
  }
}

void Change::replace(const Found& found, Bytes value, Offset run) {
  const Offset at = found.place.record;
  const Record& record = Record::at(at);
  const Place old = Place::of(record.place);
  const Place place = lay(old, value, run);
  const Offset area = at + record.area();
  if (place.lies == Lies::in_cell) slabs_.make_room(cell_bytes(value.size()));

  Journal& journal = open(run != 0 || old.lies == Lies::in_run);
  index_.stage_begin(journal, found.place);
  if (place.lies == Lies::inlined) {
    stage_drop(record);
    for (std::size_t i = 0; i < value.size(); i += kWord) journal.set(area + i, word_in(value, i));
  } else if (place.lies == Lies::in_cell) {
    const Offset cell = slabs_.take(journal, value.size());
    fill_cell(journal, cell, value);
    stage_drop(record);
    journal.set(area, cell);
  } else {
    arena::stage_owner(journal, run, arena::kFamilyOwned);
    stage_drop(record);
    journal.set(area, run);
    add(offsetof(DictWords, runs), 1);
  }
  if (place.word() != record.place) journal.set(at + offsetof(Record, place), place.word());
  add(offsetof(DictWords, serial), 1);
  index_.stage_end(journal, found.place);
  commit();
}

void Change::erase(const Found& found) {
  const Offset at = found.place.record;
  const Record& record = Record::at(at);
  Journal& journal = open(Place::of(record.place).lies == Lies::in_run);
  index_.stage_begin(journal, found.place);
  index_.stage_erase(journal, found.place);
  journal.set(
      record.prev != 0 ? record.prev + offsetof(Record, next) : field(offsetof(DictWords, head)),
      record.next);
  journal.set(
      record.next != 0 ? record.next + offsetof(Record, prev) : field(offsetof(DictWords, tail)),
      record.prev);
  stage_drop(record);
  slabs_.give(journal, at, record.bytes());
  add(offsetof(DictWords, count), -1);
  add(offsetof(DictWords, structure), 1);
  add(offsetof(DictWords, serial), 1);
  index_.stage_end(journal, found.place);
  commit();
}

// Nothing is walked: the dict begins anew, and what it had is given back piece by piece afterwards.
void Change::clear() {
  while (give_back()) {
  }
  Journal& journal = open(true);
  if (const Offset run = index_.directory_run(); run != 0) {
    arena::stage_free(journal, run, index_.directory_bytes());
  }
  journal.set(field(offsetof(DictWords, retired_chunks)), slabs_.last_chunk());
  if (words_.runs == 0) {
    slabs_.stage_empty(journal, first_cell(), object_end_);
  } else {
    // Records whose runs are to be given back still lie in the object.
    journal.set(field(offsetof(DictWords, retired_records)), words_.head);
    slabs_.stage_empty(journal, 0, 0);
    slabs_.stage_chunk(journal);
  }
  index_.stage_first(journal);
  for (const std::size_t each : {offsetof(DictWords, count), offsetof(DictWords, head),
                                 offsetof(DictWords, tail), offsetof(DictWords, runs)}) {
    journal.set(field(each), 0);
  }
  add(offsetof(DictWords, structure), 1);
  commit();
}

namespace {

// Stages one step of giving records' runs back: the first run that the list has from `at` on, after
// a bounded look. Returns where the list goes on.
Offset stage_free_run(Journal& journal, Offset at) {
  constexpr int kMostLooks = 256;
  for (int look = 0; look < kMostLooks && at != 0; ++look) {
    const Record& record = Record::at(at);
    at = record.next;
    if (Place::of(record.place).lies != Lies::in_run) continue;
    const Bytes value = value_of(record);
    arena::stage_free(journal, where_of(record), value.size());
    break;
  }
  return at;
}

Offset stage_free_chunk(Journal& journal, Offset at) {
  const Chunk chunk = arena::at<Chunk>(at);
  arena::stage_free(journal, at, chunk.bytes);
  return chunk.before;
}

}  // namespace

bool Change::give_back() {
  if (words_.retired_records == 0 && words_.retired_chunks == 0) return false;
  Journal& journal = open(true);
  if (words_.retired_records != 0) {
    journal.set(field(offsetof(DictWords, retired_records)),
                stage_free_run(journal, words_.retired_records));
  } else {
    journal.set(field(offsetof(DictWords, retired_chunks)),
                stage_free_chunk(journal, words_.retired_chunks));
  }
  commit();
  return true;
}

void make_dict(std::byte* object) {
  auto* words = new (object + arena::Held::body_at<DictWords>()) DictWords{};
  const auto offset = arena::offset_in_arena(object);
  FORKFUL_CHECK(offset);
  const Offset at = *offset;
  words->slabs.bump = at + kFirstCell + Index::make_first(words->root, at + kFirstCell);
  words->slabs.bump_end = at + kDictBytes;
}

bool take_dict_apart(Journal& heap, Offset object) {
  const Offset at = words_of(object);
  auto& words = arena::at<DictWords>(at);
  // What somebody has committed and not carried out, who was killed as its last holder.
  if (const std::uint32_t left = words.journal.committed; left != 0) {
    for (std::uint32_t i = 0; i < std::min(left, kDictJournal); ++i) {
      heap.set(words.journal.entries[i].where, words.journal.entries[i].value);
    }
    heap.set(at + offsetof(DictWords, journal), 0);
    return false;
  }
  const auto list = [&](std::size_t field, Offset next) { heap.set(at + field, next); };
  if (words.retired_records != 0) {
    list(offsetof(DictWords, retired_records), stage_free_run(heap, words.retired_records));
  } else if (words.runs != 0 && words.head != 0) {
    list(offsetof(DictWords, head), stage_free_run(heap, words.head));
  } else if (words.retired_chunks != 0) {
    list(offsetof(DictWords, retired_chunks), stage_free_chunk(heap, words.retired_chunks));
  } else if (const Branch root = Branch::of(words.root); root.depth > kLargestCellDepth) {
    arena::stage_free(heap, root.at, sizeof(std::uint64_t) << root.depth);
    heap.set(at + offsetof(DictWords, root), 0);
  } else if (words.slabs.chunks != 0) {
    list(offsetof(DictWords, slabs) + offsetof(SlabWords, chunks),
         stage_free_chunk(heap, words.slabs.chunks));
  } else {
    return true;
  }
  return false;
}

}  // namespace forkful::state
