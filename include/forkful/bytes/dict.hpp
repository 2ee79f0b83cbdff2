// A dict in shared memory, of keys and values that are bytes. (Unstable; Dict<K, V> has types.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <forkful/bytes/shared.hpp>
#include <forkful/wait.hpp>
#include <span>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace bytes {

using Bytes = std::span<const std::byte>;

// Keeps its entries in the order in which their keys were first set. Keys are equal where their
// bytes are.
//
// Threads: any thread of any member may call anything; each call is one step to all others.
// Death:   a member killed in a call leaves the dict as it was before or as it is after, and the
//          next caller goes on at once.
// Waits:   only for a member that is stopped in the middle of a change. Waited::done, or what the
//          wait ended with: nothing has changed then.
// Throws:  OsError(ENOSPC), where there is no memory for what is set; nothing has changed then.
class RawDict : public Shared {
 public:
  using Buffer = std::vector<std::byte>;

  RawDict() = default;
  static RawDict create(const Label& label = {});
  static RawDict adopt(Id id);

  // How long a key, with its form, may be.
  static constexpr std::size_t kMostKeyBytes = 2048;
  struct Key {
    Bytes compared;
    Bytes form = {};  // the key as it was given, where `compared` does not say it
  };
  struct Entry {
    Buffer key;  // in its form
    Buffer value;
  };

  enum class Only { always, if_absent, if_present };

  // Whether there is such a key; its value goes to `value`.
  Waited get(Bytes key, bool& found, Buffer& value, Wait& wait) const;
  // Whether there was such a key; its value before goes to `before`. A key keeps the form and the
  // place in the order that it got first.
  // Throws: std::length_error, for a key that is too long.
  Waited set(const Key& key, Bytes value, Only only, bool& found, Buffer* before, Wait& wait) const;
  // Whether there was such a key; its value goes to `before`.
  Waited erase(Bytes key, bool& found, Buffer* before, Wait& wait) const;
  // Takes the entry that was set last; false where there is none.
  Waited pop_last(bool& found, Entry& entry, Wait& wait) const;
  // Takes all entries out, in one step.
  Waited clear(Wait& wait) const;

  [[nodiscard]] std::uint64_t size() const;

  // A walk through the entries in their order, by some at a time.
  struct Cursor {
    std::uint64_t next = 0;       // where it goes on; 0: at the beginning
    std::uint64_t structure = 0;  // which keys there were when it began
    bool begun = false;
    bool ended = false;
  };
  // Appends up to `most` entries to `into`. `changed`: since the walk began, keys were set for the
  // first time or erased, and the walk is over.
  Waited walk(Cursor& cursor, std::size_t most, std::vector<Entry>& into, bool& changed,
              Wait& wait) const;

  // Walks every structure and checks it; aborts on the first contradiction. For tests.
  void check() const;

 private:
  using Shared::Shared;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
