#include "memory.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace forkful::schedules {
namespace {

constexpr std::size_t kMostLocations = 1 << 12;
constexpr std::size_t kMarks = 1 << 17;  // a power of two

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "schedules: %s\n", why);
  std::abort();
}

}  // namespace

std::uint64_t peek(std::uintptr_t at, unsigned size) {
  return size == 4 ? *reinterpret_cast<const std::uint32_t*>(at)
                   : *reinterpret_cast<const std::uint64_t*>(at);
}

void poke(std::uintptr_t at, unsigned size, std::uint64_t value) {
  if (size == 4) {
    *reinterpret_cast<std::uint32_t*>(at) = static_cast<std::uint32_t>(value);
  } else {
    *reinterpret_cast<std::uint64_t*>(at) = value;
  }
}

void View::clear() {
  seen.clear();
  clock = {};
}

void View::join(const View& other) {
  if (seen.size() < other.seen.size()) seen.resize(other.seen.size());
  for (std::size_t i = 0; i < other.seen.size(); ++i) seen[i] = std::max(seen[i], other.seen[i]);
  for (unsigned i = 0; i < kMostThreads; ++i) clock[i] = std::max(clock[i], other.clock[i]);
}

void View::raise(std::uint32_t location, Time to) {
  if (seen.size() <= location) seen.resize(location + 1);
  seen[location] = std::max(seen[location], to);
}

void Memory::begin(Random& random, std::uint32_t stale, std::uint32_t late) {
  random_ = &random;
  stale_ = stale;
  late_ = late;
  stale_in_a_row_ = 0;
  race_ = nullptr;
  operations_ = 0;
  ordered_ = {};
  ++round_;
  for (unsigned i = 0; i < kMostThreads; ++i) {
    views_[i].clear();
    views_[i].clock[i] = 1;
  }
  kernel_.clear();
  if (snapshots_.empty()) snapshots_.resize(1 << 14);
  snapshots_used_ = 1;
  if (locations_.empty()) locations_.resize(kMostLocations);
  locations_used_ = 1;
  if (marks_.empty()) marks_.resize(kMarks);
  marks_used_ = 0;
}

Memory::Marks& Memory::marks_at(std::uintptr_t at) {
  const std::uintptr_t granule = at / kGranule;
  for (std::size_t i = granule * 0x9e3779b97f4a7c15 >> 40;; ++i) {
    Marks& marks = marks_[i % kMarks];
    if (marks.round != round_) {
      if (++marks_used_ > kMarks / 2) give_up("a schedule touches too much memory");
      marks.at = granule;
      marks.round = round_;
      marks.location = 0;
      marks.last = {};
      return marks;
    }
    if (marks.at == granule) return marks;
  }
}

void Memory::check(unsigned thread, Marks& marks, Kind kind) {
  static constexpr const char* kNames[] = {"a plain read", "a plain write", "an atomic read",
                                           "an atomic write"};
  static constexpr bool kConflicts[4][4] = {{false, true, false, true},
                                            {true, true, true, true},
                                            {false, true, false, false},
                                            {true, true, false, false}};
  const Clock& known = views_[thread].clock;
  for (unsigned other = 0; other < 4; ++other) {
    if (!kConflicts[kind][other]) continue;
    const Clock& last = marks.last[other];
    for (unsigned i = 0; i < kMostThreads; ++i) {
      if (last[i] > known[i] && i != thread && race_ == nullptr) {
        static thread_local char text[128];
        std::snprintf(text, sizeof text, "a data race: %s by %u is not ordered after %s by %u",
                      kNames[kind], thread, kNames[other], i);
        race_ = text;
        race_at_ = marks.at * kGranule;
      }
    }
  }
  marks.last[kind][thread] = known[thread];
}

void Memory::restart(Location& location) {
  location.sequential = 0;
  location.rises.clear();
  location.last += kStep;
  location.messages.assign(1, {location.last, false, 0, peek(location.at, location.size)});
}

Memory::Location& Memory::location(unsigned thread, std::uintptr_t at, unsigned size, Kind kind) {
  Marks& first = marks_at(at);
  check(thread, first, kind);
  if (size == 8) check(thread, marks_at(at + kGranule), kind);
  if (first.location != 0 && locations_[first.location].size == size) {
    Location& location = locations_[first.location];
    // Written plainly since, as the check has found in order: that is all that can be read.
    if (location.messages.empty()) restart(location);
    return location;
  }
  // New, or of another size until now, and begun again from what lies there.
  if (locations_used_ == kMostLocations) give_up("a schedule uses too many atomic words");
  for (std::uintptr_t each = at; each < at + size; each += kGranule) {
    Marks& marks = marks_at(each);
    if (marks.location != 0) locations_[marks.location].messages.clear();
    marks.location = locations_used_;
  }
  Location& location = locations_[locations_used_++];
  location.at = at;
  location.size = size;
  location.last = 0;
  restart(location);
  return location;
}

void Memory::meet(Location& location, Time time) {
  if (time <= location.sequential) return;
  location.rises.emplace_back(operations_, location.sequential);
  location.sequential = time;
}

// A relaxed load and a sequentially consistent one after it may pass one another, so the latter may
// come anywhere after the thread's last operation of another kind.
Time Memory::met_before(unsigned thread, const Location& location) const {
  Time met = location.sequential;
  for (auto rise = location.rises.rbegin(); rise != location.rises.rend(); ++rise) {
    if (rise->first <= ordered_[thread]) break;
    met = rise->second;
  }
  return met;
}

std::size_t Memory::oldest(unsigned thread, const Location& location, Time met) const {
  const Time from = std::max(views_[thread].of(index_of(location)), met);
  std::size_t i = location.messages.size() - 1;
  while (i > 0 && location.messages[i].at > from) --i;
  return i;
}

std::uint32_t Memory::snapshot(unsigned thread, std::uint32_t joined) {
  if (snapshots_used_ == snapshots_.size()) snapshots_.resize(snapshots_.size() * 2);
  View& copy = snapshots_[snapshots_used_];
  copy = views_[thread];
  if (joined != 0) copy.join(snapshots_[joined]);
  ++views_[thread].clock[thread];
  return snapshots_used_++;
}

std::uint64_t Memory::read(unsigned thread, Location& location, std::size_t message, int order) {
  const Message& from = location.messages[message];
  View& view = views_[thread];
  view.raise(index_of(location), from.at);
  if (acquires(order) && from.view != 0) view.join(snapshots_[from.view]);
  if (order == __ATOMIC_SEQ_CST) meet(location, from.at);
  return from.value;
}

// Every store is seen at last, so not too many loads in a row read what is old.
bool Memory::is_stale_now(std::size_t first, const Location& location) {
  was_stale_ = first + 1 < location.messages.size() && stale_in_a_row_ < kMostStaleInARow &&
               random_->chance(stale_);
  stale_in_a_row_ = was_stale_ ? stale_in_a_row_ + 1 : 0;
  return was_stale_;
}

std::uint64_t Memory::load(unsigned thread, std::uintptr_t at, unsigned size, int order) {
  Location& from = location(thread, at, size, atomic_read);
  std::size_t message = from.messages.size() - 1;
  const std::size_t first =
      oldest(thread, from, order == __ATOMIC_SEQ_CST ? met_before(thread, from) : 0);
  ++operations_;
  if (order != __ATOMIC_RELAXED) ordered_[thread] = operations_;
  if (is_stale_now(first, from)) {
    message = first + random_->below(static_cast<std::uint32_t>(message - first));
  }
  return read(thread, from, message, order);
}

void Memory::store(unsigned thread, std::uintptr_t at, unsigned size, std::uint64_t value,
                   int order) {
  Location& to = location(thread, at, size, atomic_write);
  ordered_[thread] = ++operations_;
  std::vector<Message>& messages = to.messages;
  std::size_t after = messages.size() - 1;
  if (const std::size_t first = oldest(thread, to, order == __ATOMIC_SEQ_CST ? to.sequential : 0);
      first < after && random_->chance(late_)) {
    const std::size_t wish =
        first + random_->below(static_cast<std::uint32_t>(messages.size() - first));
    const bool fits =
        wish + 1 == messages.size() ||
        (!messages[wish + 1].by_modification && messages[wish + 1].at - messages[wish].at >= 2);
    if (fits) after = wish;
  }
  const bool is_newest = after + 1 == messages.size();
  const Time time = is_newest
                        ? messages[after].at + kStep
                        : messages[after].at + (messages[after + 1].at - messages[after].at) / 2;
  views_[thread].raise(index_of(to), time);
  if (order == __ATOMIC_SEQ_CST) meet(to, time);
  const std::uint32_t view = releases(order) ? snapshot(thread, 0) : 0;
  messages.insert(messages.begin() + static_cast<std::ptrdiff_t>(after) + 1,
                  {time, false, view, value});
  if (messages.size() > kMostMessages) messages.erase(messages.begin());
  if (is_newest) {
    to.last = time;
    poke(at, size, value);
  }
}

std::uint64_t Memory::newest(unsigned thread, std::uintptr_t at, unsigned size, int order) {
  Location& from = location(thread, at, size, atomic_write);
  ordered_[thread] = ++operations_;
  was_stale_ = false;
  return read(thread, from, from.messages.size() - 1, order);
}

// The second half of a read-modify-write: what it read with release is released with it.
void Memory::replace(unsigned thread, std::uintptr_t at, unsigned size, std::uint64_t value,
                     int order) {
  Location& to = location(thread, at, size, atomic_write);
  const Message& was = to.messages.back();
  const Time time = was.at + kStep;
  const std::uint32_t inherited = was.view;
  to.last = time;
  views_[thread].raise(index_of(to), time);
  if (order == __ATOMIC_SEQ_CST) meet(to, time);
  const std::uint32_t view = releases(order) ? snapshot(thread, inherited) : inherited;
  to.messages.push_back({time, true, view, value});
  if (to.messages.size() > kMostMessages) to.messages.erase(to.messages.begin());
  poke(at, size, value);
}

bool Memory::exchange_if(unsigned thread, std::uintptr_t at, unsigned size, std::uint64_t& expected,
                         std::uint64_t desired, bool weak, int order, int failure) {
  Location& word = location(thread, at, size, atomic_read);
  const std::size_t last = word.messages.size() - 1;
  ordered_[thread] = ++operations_;
  const std::size_t first = oldest(thread, word, failure == __ATOMIC_SEQ_CST ? word.sequential : 0);
  if (is_stale_now(first, word)) {
    const std::size_t old = first + random_->below(static_cast<std::uint32_t>(last - first));
    if (word.messages[old].value != expected) {
      expected = read(thread, word, old, failure);
      return false;
    }
  }
  was_stale_ = false;
  constexpr std::uint32_t kForNoReason = 8;  // of 256
  const bool equal = word.messages[last].value == expected;
  if (!equal || (weak && random_->chance(kForNoReason))) {
    expected = read(thread, word, last, failure);
    return false;
  }
  (void)newest(thread, at, size, order);
  replace(thread, at, size, desired, order);
  return true;
}

void Memory::plain(unsigned thread, std::uintptr_t at, std::uint64_t bytes, bool writes) {
  const std::uintptr_t end = at + bytes;
  for (std::uintptr_t i = at / kGranule * kGranule; i < end; i += kGranule) {
    Marks& marks = marks_at(i);
    check(thread, marks, writes ? plain_write : plain_read);
    if (writes && marks.location != 0) {
      Location& location = locations_[marks.location];
      // What was there is over; the next atomic access begins with what lies there then.
      if (!location.messages.empty()) {
        location.messages.clear();
      }
    }
  }
}

std::uint64_t Memory::kernel_looks(unsigned thread, std::uintptr_t at, unsigned size) {
  views_[thread].join(kernel_);
  ordered_[thread] = operations_;
  return load(thread, at, size, __ATOMIC_RELAXED);
}

}  // namespace forkful::schedules
