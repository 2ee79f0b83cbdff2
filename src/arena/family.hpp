// This process as a member: making or joining an arena, forks, and the handles it holds.
//
// Threads: any. Fork: handlers registered with pthread_atfork reserve a place for the child, with
// a share in everything held here, before the child exists; so nothing that the parent drops
// meanwhile can be freed under it.
#pragma once

#include <forkful/bytes/shared.hpp>
#include <functional>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "arena/members.hpp"
#include "arena/objects.hpp"

namespace forkful::arena {

// Makes sure that this process is a member; the first one makes the arena.
void join_family();
[[nodiscard]] bool has_family();
// An orderly end. Also runs at exit().
void leave_family();
// Likewise, with the exit code for a parent whose child was waited for by somebody else.
void leave_family(int exit_code);
// An end by _exit() and its like is about to come: no death, though nothing is put in order.
void end_wilfully();

// What a process re-executed as a member needs to be handed.
struct Invitation {
  int arena_fd;
  int liveness_fd;
  MemberId member;
  std::uint64_t nonce;  // the first word of the block at Member::start
};
// Throws: LayoutMismatch, where the arena is of another layout; Error, where this process
// is not the one that was invited; OsError.
void accept_invitation(const Invitation& invitation);
Invitation invite(MemberId member, std::uint64_t nonce);
// Gives `child`, which is reserved and no fork, a share in each of the objects, all of which this
// member holds; the child takes a share up when it adopts the object.
// Throws: OsError(ENOSPC); the shares given by then go with the child's reservation.
void give_shares(MemberId child, std::span<const bytes::Shared> objects);
// What these handles share.
std::vector<Offset> objects_of(bytes::Shares shares);

// What the next fork in this thread starts (default: a fork of the user's own), and whom it made.
void plan_fork(std::uint32_t flags);
MemberId last_forked();
// Forks, after before() and with after(pid) in the parent; after(-1) where it did not fork. Within
// a fork nothing may be given away (see bytes::AroundWait), so while the arena's lock is stuck it
// tries again: before() and after() are called once for each attempt. -1: it was interrupted
// between two of them. Throws: OsError.
int fork_process(const std::function<void()>& before, const std::function<void(int pid)>& after,
                 Wait& wait);
// In a child: run once, right after the fork, in registration order.
void at_fork_in_child(void (*action)());

// What to do whenever a slice of a sleep has passed without a wake-up.
void at_slice_end(void (*action)());

// Reaps `id` with the end it had, or puts that off where the arena's lock is stuck. For whoever has
// waited for its process.
void process_ended(MemberId id);
// Reaps those for which that was put off; also ahead of sleeps and starts of processes.
void reap_put_off() noexcept;
// Async-signal-safe in a member.
End end_of(MemberId id);

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
Held* create_object(Kind kind, std::uint64_t bytes, void (*fill)(void* context, std::byte* object),
                    void* context);
// An object whose body is one T.
template <class T, class... Args>
Held* create_object(Kind kind, Args&&... args) {
  auto construct = [&](std::byte* object) {
    new (object + Held::body_at<T>()) T{std::forward<Args>(args)...};
  };
  return create_object(
      kind, Held::body_at<T>() + sizeof(T),
      [](void* context, std::byte* object) {
        (*static_cast<decltype(construct)*>(context))(object);
      },
      &construct);
}
// The object that another member named, of `least_bytes` at least.
// Throws: Error where there is no such object any more, or it is another family's.
Held* adopt_object(Kind kind, const bytes::Shared::Name& name, std::uint64_t least_bytes);
// One whose body begins with a T.
template <class T>
Held* adopt_object(Kind kind, const bytes::Shared::Name& name) {
  return adopt_object(kind, name, Held::body_at<T>() + sizeof(T));
}

}  // namespace forkful::arena
