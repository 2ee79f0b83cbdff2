// RawDict: the calls. What they change is in change.cpp.
//
// Large values are written and read outside the lock where that can be: a run is filled before it,
// and what a caller reads into has grown before it. So nothing under the lock takes memory of this
// process, or runs code of anybody.
#include <algorithm>
#include <forkful/bytes/dict.hpp>
#include <stdexcept>

#include "arena/own_run.hpp"
#include "base/check.hpp"
#include "state/change.hpp"
#include "state/look.hpp"
#include "sync/internal_lock.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

using state::Change;

static_assert(RawDict::kMostKeyBytes == state::kMostKey);

const arena::OnLastRelease g_dicts(arena::Kind::dict, state::take_dict_apart);

// Calls `step(change)` under the dict's lock, and waits where somebody is stopped with it.
template <class Step>
Waited change_it(const arena::Held* held, Wait& wait, Step&& step) {
  return sync::get_through(wait, [&] {
    Change change(held);
    step(change);
  });
}

// A copy of what lies under the lock, into memory that was taken before.
class Copy {
 public:
  explicit Copy(RawDict::Buffer* into) : into_(into) {}
  // False where there is no room; grow() then makes some, for another try.
  bool take(Bytes bytes) {
    if (into_ == nullptr) return true;
    if (bytes.size() > into_->capacity()) {
      wanted_ = bytes.size();
      return false;
    }
    into_->assign(bytes.begin(), bytes.end());
    return true;
  }
  // Whether it had to.
  bool grow() {
    if (wanted_ == 0) return false;
    into_->reserve(wanted_ + wanted_ / 8);
    wanted_ = 0;
    return true;
  }

 private:
  RawDict::Buffer* into_;
  std::size_t wanted_ = 0;
};

// Whoever empties a large dict gives its memory back.
constexpr std::uint64_t kWorthEmptying = 64 << 10;

// After the calls that may have freed runs.
void give_back(const arena::Held* held, Wait& wait) {
  for (bool more = true; more;) {
    more = false;
    const Waited how = change_it(held, wait, [&](Change& change) { more = change.give_back(); });
    if (how != Waited::done) break;  // the next call that clears does so
  }
  arena::tidy_heap();
}

}  // namespace

RawDict RawDict::create(const Label& label) {
  return RawDict(arena::create_object(
      arena::Kind::dict, label, state::kDictBytes,
      [](void*, std::byte* object) { state::make_dict(object); }, nullptr));
}

RawDict RawDict::adopt(Id id) {
  return RawDict(arena::adopt_object(arena::Kind::dict, id, state::kDictBytes));
}

namespace {

// Without the lock, a few times. Looked::changed: the lock has to be taken.
state::Looked look(const arena::Held* held, Bytes key, RawDict::Buffer& value) {
  using state::Looked;
  constexpr int kMostTries = 16;
  const auto& words = held->body<state::DictWords>();
  const std::uint64_t hash = state::hash_of(key);
  for (int tries = 0; tries < kMostTries; ++tries) {
    std::size_t wanted = 0;
    const Looked how = state::look(words, hash, key, value, wanted);
    if (how == Looked::too_short) {
      value.reserve(wanted);
    } else if (how != Looked::changed) {
      return how;
    }
  }
  return Looked::changed;
}

}  // namespace

Waited RawDict::get(Bytes key, bool& found, Buffer& value, Wait& wait) const {
  if (const state::Looked how = look(held_, key, value);
      how == state::Looked::found || how == state::Looked::absent) {
    found = how == state::Looked::found;
    return Waited::done;
  }
  Copy copy(&value);
  for (;;) {
    const Waited how = change_it(held_, wait, [&](Change& change) {
      const auto at = change.find(key);
      found = static_cast<bool>(at);
      if (found) copy.take(change.value(at));
    });
    if (how != Waited::done || !copy.grow()) return how;
  }
}

Waited RawDict::set(const Key& key, Bytes value, Only only, bool& found, Buffer* before,
                    Wait& wait) const {
  if (key.compared.size() + key.form.size() > kMostKeyBytes) {
    throw std::length_error("a key of a shared dict has " + std::to_string(kMostKeyBytes) +
                            " bytes at most, with its form; this one has " +
                            std::to_string(key.compared.size() + key.form.size()));
  }
  arena::OwnRun run;
  if (value.size() > state::kLargestCell) {
    run = arena::OwnRun(arena::allocate_run(value.size()));
    std::ranges::copy(value, arena::at(run.get(), value.size()));
  }
  Copy copy(before);
  bool freed = false;
  for (;;) {
    const Waited how = change_it(held_, wait, [&](Change& change) {
      const auto at = change.find(key.compared);
      found = static_cast<bool>(at);
      if (found && !copy.take(change.value(at))) return;
      if (only == (found ? Only::if_absent : Only::if_present)) return;
      freed = found && change.has_run(at);
      if (found) {
        change.replace(at, value, run.get());
      } else {
        change.insert(at, key.compared, key.form, value, run.get());
      }
      run.release();
    });
    if (how != Waited::done) return how;
    if (copy.grow()) continue;
    if (freed) arena::tidy_heap();
    return how;
  }
}

Waited RawDict::erase(Bytes key, bool& found, Buffer* before, Wait& wait) const {
  Copy copy(before);
  bool freed = false;
  bool emptied = false;
  for (;;) {
    const Waited how = change_it(held_, wait, [&](Change& change) {
      const auto at = change.find(key);
      found = static_cast<bool>(at);
      if (!found || !copy.take(change.value(at))) return;
      freed = change.has_run(at);
      change.erase(at);
      emptied = change.count() == 0 && change.memory() > kWorthEmptying;
      if (emptied) change.clear();
    });
    if (how != Waited::done) return how;
    if (copy.grow()) continue;
    if (emptied) {
      give_back(held_, wait);
    } else if (freed) {
      arena::tidy_heap();
    }
    return how;
  }
}

Waited RawDict::pop_last(bool& found, Entry& entry, Wait& wait) const {
  Copy key(&entry.key);
  Copy value(&entry.value);
  bool freed = false;
  for (;;) {
    const Waited how = change_it(held_, wait, [&](Change& change) {
      found = change.tail() != 0;
      if (!found) return;
      const auto& record = state::Record::at(change.tail());
      const auto at = change.find(record.key());
      if (!at || at.place.record != change.tail()) arena::damaged();
      // Both, so that one more try is enough.
      const bool has_room = key.take(record.form());
      if (!value.take(change.value(at)) || !has_room) return;
      freed = change.has_run(at);
      change.erase(at);
    });
    if (how != Waited::done) return how;
    const bool grown = key.grow();
    if (value.grow() || grown) continue;
    if (freed) arena::tidy_heap();
    return how;
  }
}

Waited RawDict::clear(Wait& wait) const {
  const Waited how = change_it(held_, wait, [](Change& change) { change.clear(); });
  if (how == Waited::done) give_back(held_, wait);
  return how;
}

std::uint64_t RawDict::size() const {
  auto& count = held_->body<state::DictWords>().count;
  return std::atomic_ref(count).load(std::memory_order_acquire);
}

Waited RawDict::walk(Cursor& cursor, std::size_t most, std::vector<Entry>& into, bool& changed,
                     Wait& wait) const {
  changed = false;
  const std::size_t first = into.size();
  std::size_t end = first;
  into.resize(first + most);
  for (;;) {
    bool short_of_room = false;
    std::size_t key_bytes = 0;
    std::size_t value_bytes = 0;
    const Waited how = change_it(held_, wait, [&](Change& change) {
      if (!cursor.begun) cursor = {change.head(), change.structure(), true, change.head() == 0};
      changed = cursor.structure != change.structure();
      while (!changed && !cursor.ended && end < into.size()) {
        const auto& record = state::Record::at(cursor.next);
        key_bytes = record.form().size();
        value_bytes = state::value_of(record).size();
        const bool has_key = Copy(&into[end].key).take(record.form());
        short_of_room = !Copy(&into[end].value).take(state::value_of(record)) || !has_key;
        if (short_of_room) return;
        ++end;
        cursor.next = record.next;
        cursor.ended = record.next == 0;
      }
    });
    if (how == Waited::done && short_of_room) {
      into[end].key.reserve(key_bytes);
      into[end].value.reserve(value_bytes);
      continue;
    }
    into.resize(end);
    return how;
  }
}

void RawDict::check() const {
  Wait wait;
  (void)change_it(held_, wait, [](Change& change) { state::check(change); });
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
