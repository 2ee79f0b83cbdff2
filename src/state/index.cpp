// Segments and the directory of a dict's index; index.hpp has the picture.
#include "state/index.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "arena/heap.hpp"
#include "base/check.hpp"
#include "state/records.hpp"
#include "state/segment.hpp"

namespace forkful::state {
namespace {

Segment& segment_at(Offset at) {
  if (!can_be_cell(at)) arena::damaged();
  auto& segment = arena::at<Segment>(at);
  const Counts counts = Counts::of(segment.counts);
  if (counts.slots == 0 || counts.slots > kSlots.back() || counts.used > counts.slots) {
    arena::damaged();
  }
  return segment;
}

Offset slot_at(Offset segment, std::uint32_t slot) { return segment + segment_bytes(slot); }

bool is_full(const Counts& counts) { return counts.used + 1 > counts.slots - counts.slots / 8; }

// Fills a segment that nobody knows yet.
class Filling {
 public:
  Filling(Offset at, std::uint32_t slots) : at_(at), counts_{slots, 0, 0} {
    auto& segment = arena::at<Segment>(at);
    std::fill_n(segment.slots, slots, 0);
  }
  void add(std::uint64_t slot) {
    auto& segment = arena::at<Segment>(at_);
    std::uint32_t i = home_of(slot >> kRecordBits, counts_.slots);
    while (segment.slots[i] != 0) i = after(i, counts_.slots);
    segment.slots[i] = slot;
    ++counts_.used;
    ++counts_.alive;
  }
  // The first word of a cell is for the journal.
  Offset finish(Journal& journal, std::uint64_t version) {
    arena::at<Segment>(at_).counts = counts_.word();
    journal.set(at_ + offsetof(Segment, version), version);
    return at_;
  }

 private:
  Offset at_;
  Counts counts_;
};

// The entries of the directory that a segment has: all those with its first bits of the tag.
struct Range {
  std::uint64_t first;
  std::uint64_t count;

  static Range of(std::uint64_t tag, std::uint32_t depth, std::uint32_t directory_depth) {
    const std::uint32_t more = directory_depth - depth;
    return {entry_of(tag, depth) << more, std::uint64_t{1} << more};
  }
};

constexpr std::uint64_t directory_size(std::uint32_t depth) {
  return sizeof(std::uint64_t) << depth;
}

// So many entries are changed one by one; where more change, the directory is copied.
constexpr std::uint64_t kFewEntries = 8;

// One or two segments in the place of one that is full.
class Replacement {
 public:
  Replacement(Branch root, std::uint64_t hash) : root_(root), tag_(tag_of(hash)) {
    const auto* directory = &arena::at<std::uint64_t>(root.at, directory_size(root.depth));
    old_ = Branch::of(directory[entry_of(tag_, root.depth)]);
    counts_ = Counts::of(segment_at(old_.at).counts);
    if (old_.depth > root.depth) arena::damaged();
    const bool many_gone = counts_.alive * 2 < counts_.used;
    const auto larger = std::upper_bound(kSlots.begin(), kSlots.end(), counts_.slots);
    splits_ = !many_gone && larger == kSlots.end();
    slots_ = splits_ || many_gone ? counts_.slots : *larger;
    if (splits_ && old_.depth == kTagBits) arena::damaged();  // so many keys of one tag
    deepens_ = splits_ && old_.depth == root.depth;
    copies_ = deepens_ || Range::of(tag_, old_.depth, root.depth).count > kFewEntries;
  }

  // What it takes of the slabs.
  [[nodiscard]] std::uint64_t cells() const {
    const std::uint64_t directory = needs_run() || !copies_ ? 0 : cell_bytes(new_size());
    return directory + (splits_ ? 2 : 1) * cell_bytes(segment_bytes(slots_));
  }
  // Whether the heap takes part: a directory above a cell's size is a run.
  [[nodiscard]] bool needs_heap() const { return needs_run() || (copies_ && old_is_run()); }

  void stage(Journal& journal, Offset root_word, Slabs& slabs, std::uint64_t version) {
    const Segment& old = segment_at(old_.at);
    const std::uint32_t depth = old_.depth + (splits_ ? 1 : 0);
    Filling low(slabs.take(journal, segment_bytes(slots_)), slots_);
    Filling high = splits_ ? Filling(slabs.take(journal, segment_bytes(slots_)), slots_) : low;
    const std::uint64_t bit = splits_ ? std::uint64_t{1} << (kTagBits - depth) : 0;
    for (std::uint32_t i = 0; i < counts_.slots; ++i) {
      const std::uint64_t slot = old.slots[i];
      if (!is_record(slot)) continue;
      ((slot >> kRecordBits & bit) != 0 ? high : low).add(slot);
    }
    const Branch lower{depth, low.finish(journal, version)};
    const Branch upper = splits_ ? Branch{depth, high.finish(journal, version)} : lower;
    // Whoever still looks at it without the lock finds another entry, or another version.
    slabs.give(journal, old_.at, segment_bytes(counts_.slots));
    if (copies_) {
      stage_copy(journal, root_word, slabs, lower, upper);
    } else {
      stage_entries(journal, lower, upper);
    }
  }

 private:
  [[nodiscard]] std::uint32_t new_depth() const { return root_.depth + (deepens_ ? 1 : 0); }
  [[nodiscard]] std::uint64_t new_size() const { return directory_size(new_depth()); }
  [[nodiscard]] bool needs_run() const { return copies_ && new_size() > kLargestCell; }
  [[nodiscard]] bool old_is_run() const { return directory_size(root_.depth) > kLargestCell; }

  void stage_entries(Journal& journal, Branch lower, Branch upper) const {
    const Range range = Range::of(tag_, old_.depth, root_.depth);
    for (std::uint64_t i = 0; i < range.count; ++i) {
      const Branch& its = i < range.count / 2 ? lower : upper;
      journal.set(root_.at + (range.first + i) * sizeof(std::uint64_t), its.word());
    }
  }

  void stage_copy(Journal& journal, Offset root_word, Slabs& slabs, Branch lower,
                  Branch upper) const {
    const Offset at =
        needs_run() ? arena::stage_allocate(journal, new_size()) : slabs.take(journal, new_size());
    auto* to = &arena::at<std::uint64_t>(at, new_size());
    const auto* from = &arena::at<std::uint64_t>(root_.at, directory_size(root_.depth));
    const Range range = Range::of(tag_, old_.depth, new_depth());
    const std::uint64_t count = std::uint64_t{1} << new_depth();
    const auto entry = [&](std::uint64_t i) {
      if (i - range.first >= range.count) return from[i >> (new_depth() - root_.depth)];
      return (i - range.first < range.count / 2 ? lower : upper).word();
    };
    for (std::uint64_t i = 1; i < count; ++i) to[i] = entry(i);
    journal.set(at, entry(0));
    journal.set(root_word, Branch{new_depth(), at}.word());
    if (old_is_run()) {
      arena::stage_free(journal, root_.at, directory_size(root_.depth));
    } else {
      slabs.give(journal, root_.at, directory_size(root_.depth));
    }
  }

  Branch root_;
  std::uint64_t tag_;
  Branch old_;
  Counts counts_;
  std::uint32_t slots_;  // of the new ones
  bool splits_;
  bool deepens_;  // the directory has an entry for each of twice as many segments
  bool copies_;   // the directory is written anew
};

}  // namespace

Branch Index::root() const {
  const Branch root = Branch::of(arena::at<std::uint64_t>(root_));
  if (root.depth > kTagBits || root.at % kCellUnit != 0 || root.at == 0 ||
      root.at >= arena::kArenaBytes - directory_size(root.depth)) {
    arena::damaged();
  }
  return root;
}

Branch Index::branch_of(std::uint64_t hash) const {
  const Branch root = this->root();
  const std::uint64_t index = entry_of(tag_of(hash), root.depth);
  return Branch::of(arena::at<std::uint64_t>(root.at + index * sizeof(std::uint64_t)));
}

Index::Place Index::find(std::uint64_t hash, base::Bytes key) const {
  const std::uint64_t tag = tag_of(hash);
  const Offset at = branch_of(hash).at;
  const Segment& segment = segment_at(at);
  const std::uint32_t slots = Counts::of(segment.counts).slots;
  Place free{at, slots, 0};  // the first slot where it could go
  std::uint32_t i = home_of(tag, slots);
  for (std::uint32_t looked = 0; looked < slots; ++looked, i = after(i, slots)) {
    const std::uint64_t slot = segment.slots[i];
    if (!is_record(slot)) {
      if (free.slot == slots) free.slot = i;
      if (slot == 0) break;
    } else if (slot >> kRecordBits == tag &&
               std::ranges::equal(Record::at(record_in(slot)).key(), key)) {
      return {at, i, record_in(slot)};
    }
  }
  return free;
}

// More than once only where a split has left all on one side.
bool Index::make_room(Journal& journal, std::uint64_t hash) {
  bool grown = false;
  while (is_full(Counts::of(segment_at(branch_of(hash).at).counts))) {
    grow(journal, hash);
    grown = true;
  }
  return grown;
}

void Index::grow(Journal& journal, std::uint64_t hash) {
  Replacement replacement(root(), hash);
  slabs_.make_room(replacement.cells());
  if (replacement.needs_heap()) {
    arena::ArenaJournal heap(sync::IfStuck::leave);
    replacement.stage(heap, root_, slabs_, stage_version(heap));
    heap.commit();
  } else {
    replacement.stage(journal, root_, slabs_, stage_version(journal));
    journal.commit();
  }
}

std::uint64_t Index::stage_version(Journal& journal) const {
  const std::uint64_t serial = journal.get(serial_) + 1;
  journal.set(serial_, serial);
  return serial * 2;
}

void Index::stage_begin(Journal& journal, const Place& place) const {
  const std::uint64_t version = segment_at(place.segment).version;
  journal.set(place.segment + offsetof(Segment, version), version | 1);
}

void Index::stage_end(Journal& journal, const Place& place) const {
  const std::uint64_t version = segment_at(place.segment).version;
  journal.set(place.segment + offsetof(Segment, version), (version | 1) + 1);
}

void Index::stage_insert(Journal& journal, const Place& place, std::uint64_t hash,
                         Offset record) const {
  const Segment& segment = segment_at(place.segment);
  Counts counts = Counts::of(segment.counts);
  if (place.slot >= counts.slots) arena::damaged();
  if (segment.slots[place.slot] == 0) ++counts.used;
  ++counts.alive;
  journal.set(slot_at(place.segment, place.slot), slot_word(tag_of(hash), record));
  journal.set(place.segment + offsetof(Segment, counts), counts.word());
}

void Index::stage_erase(Journal& journal, const Place& place) const {
  Counts counts = Counts::of(segment_at(place.segment).counts);
  if (counts.alive > 0) --counts.alive;
  journal.set(slot_at(place.segment, place.slot), kTombstone);
  journal.set(place.segment + offsetof(Segment, counts), counts.word());
}

std::uint64_t Index::make_first(std::uint64_t& root, Offset at) {
  const std::uint64_t size = cell_bytes(directory_size(0));
  auto& segment = arena::at<Segment>(at + size);
  segment.version = 0;
  segment.counts = Counts{kSlots.front(), 0, 0}.word();
  std::fill_n(segment.slots, kSlots.front(), 0);
  arena::at<std::uint64_t>(at) = Branch{0, at + size}.word();
  root = Branch{0, at}.word();
  return size + cell_bytes(segment_bytes(kSlots.front()));
}

void Index::stage_first(Journal& journal) const {
  const Offset directory = slabs_.take(journal, directory_size(0));
  const Offset segment = slabs_.take(journal, segment_bytes(kSlots.front()));
  const Offset filled = Filling(segment, kSlots.front()).finish(journal, stage_version(journal));
  journal.set(directory, Branch{0, filled}.word());
  journal.set(root_, Branch{0, directory}.word());
}

Offset Index::directory_run() const {
  const Branch root = this->root();
  return directory_size(root.depth) > kLargestCell ? root.at : 0;
}

std::uint64_t Index::directory_bytes() const { return directory_size(root().depth); }

void Index::for_each(const std::function<void(Offset)>& look,
                     const std::function<void(Offset, std::uint64_t)>& look_at_cell) const {
  const Branch root = this->root();
  if (root.depth <= kLargestCellDepth) look_at_cell(root.at, directory_size(root.depth));
  const auto* directory = &arena::at<std::uint64_t>(root.at, directory_size(root.depth));
  for (std::uint64_t i = 0; i < std::uint64_t{1} << root.depth;) {
    const Branch branch = Branch::of(directory[i]);
    if (branch.depth > root.depth) arena::damaged();
    const Segment& segment = segment_at(branch.at);
    const Counts counts = Counts::of(segment.counts);
    look_at_cell(branch.at, segment_bytes(counts.slots));
    FORKFUL_CHECK(segment.version % 2 == 0);
    std::uint32_t used = 0;
    std::uint32_t alive = 0;
    for (std::uint32_t j = 0; j < counts.slots; ++j) {
      const std::uint64_t slot = segment.slots[j];
      used += slot != 0 ? 1 : 0;
      if (!is_record(slot)) continue;
      ++alive;
      look(record_in(slot));
    }
    FORKFUL_CHECK(used == counts.used && alive == counts.alive);
    i += std::uint64_t{1} << (root.depth - branch.depth);
  }
}

}  // namespace forkful::state
