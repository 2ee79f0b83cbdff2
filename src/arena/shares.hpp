// Objects of the arena and this process's shares in them: a handle's memory is here.
//
// Threads: any.
#pragma once

#include <forkful/bytes/shared.hpp>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "arena/members.hpp"
#include "arena/objects.hpp"

namespace forkful::arena {

// This process's share in one object: bytes::Shared counts its uses, the last one gives it back.
class Held {
 public:
  Offset object = 0;
  std::byte* address = nullptr;
  std::uint64_t bytes = 0;  // of all of it, with its ObjectHeader
  std::uint64_t serial = 0;
  std::uint64_t entry = 0;  // index in this member's holdings
  std::atomic<std::uint32_t> uses{1};
  sync::SpinBudget budget;

  // The words after the ObjectHeader.
  template <class T>
  [[nodiscard]] T& body() const {
    return *reinterpret_cast<T*>(address + body_at<T>());
  }
  template <class T>
  [[nodiscard]] Offset body_offset() const {
    return object + body_at<T>();
  }
  template <class T>
  static constexpr std::uint64_t body_at() {
    return base::round_up(sizeof(ObjectHeader), alignof(T));
  }
};

// Makes an object of `bytes` in all; `fill(context, object)` constructs in its zeroed memory after
// the ObjectHeader. Throws: OsError.
Held* create_object(Kind kind, const Label& label, std::uint64_t bytes,
                    void (*fill)(void* context, std::byte* object), void* context);
// An object whose body is one T.
template <class T, class... Args>
Held* create_object(Kind kind, const Label& label, Args&&... args) {
  auto construct = [&](std::byte* object) {
    new (object + Held::body_at<T>()) T{std::forward<Args>(args)...};
  };
  return create_object(
      kind, label, Held::body_at<T>() + sizeof(T),
      [](void* context, std::byte* object) {
        (*static_cast<decltype(construct)*>(context))(object);
      },
      &construct);
}
// The object that another member named, of `least_bytes` at least.
// Throws: Error where there is no such object any more, or it is another family's.
Held* adopt_object(Kind kind, const bytes::Shared::Id& id, std::uint64_t least_bytes);
// One whose body begins with a T.
template <class T>
Held* adopt_object(Kind kind, const bytes::Shared::Id& id) {
  return adopt_object(kind, id, Held::body_at<T>() + sizeof(T));
}

// Gives `child`, which is reserved and no fork, a share in each of the objects, all of which this
// member holds; the child takes a share up when it adopts the object.
// Throws: OsError(ENOSPC); the shares given by then go with the child's reservation.
void give_shares(MemberId child, std::span<const bytes::Shared> objects);
// What these handles share.
std::vector<Offset> objects_of(bytes::Shares shares);

}  // namespace forkful::arena
