// A Semaphore is a SemaphoreWord and its bound in an object of the arena.
#include <algorithm>
#include <forkful/bytes/semaphore.hpp>
#include <stdexcept>
#include <string>

#include "arena/shares.hpp"
#include "sync/semaphore_word.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {
namespace {

struct SemaphoreWords {
  SemaphoreWords(std::uint32_t value, std::uint32_t top) : word(value), most(top) {}
  sync::SemaphoreWord word;
  // Written before anybody knows the object, and not again.
  std::uint32_t most;
};
static_assert(sizeof(SemaphoreWords) == 20);

}  // namespace

RawSemaphore RawSemaphore::create(std::uint32_t value, std::uint32_t most, const Label& label) {
  constexpr std::uint32_t kMost = 0x7fffffff;
  const std::uint32_t limit = std::min(most, kMost);
  const std::uint32_t given = most > kMost ? most : value;
  if (given > limit) {
    throw std::invalid_argument("a semaphore's value must be 0 to " + std::to_string(limit) +
                                ", not " + std::to_string(given) +
                                (given > kMost ? ": was it negative?" : ""));
  }
  return RawSemaphore(
      arena::create_object<SemaphoreWords>(arena::Kind::semaphore, label, value, most));
}

RawSemaphore RawSemaphore::adopt(Id id) {
  return RawSemaphore(arena::adopt_object<SemaphoreWords>(arena::Kind::semaphore, id));
}

Waited RawSemaphore::acquire(Wait& wait) const {
  return held_->body<SemaphoreWords>().word.acquire(wait, held_->budget);
}

bool RawSemaphore::try_acquire() const { return held_->body<SemaphoreWords>().word.try_acquire(); }

bool RawSemaphore::release() const {
  auto& words = held_->body<SemaphoreWords>();
  return words.word.release(words.most);
}

std::uint32_t RawSemaphore::value() const { return held_->body<SemaphoreWords>().word.value(); }
std::uint32_t RawSemaphore::most() const { return held_->body<SemaphoreWords>().most; }

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
