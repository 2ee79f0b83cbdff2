// Starting a process by other means than RawProcess: the caller executes a program of its choice,
// or has it forked by another process, and tells the child what makes it a member. (Unstable.)
//
//   Invited child = invite({.daemonic = true}, shares);
//   … start a process that inherits child.descriptors, under their numbers, and knows child.ticket;
//   RawProcess::adopt(pid, child.member), or withdraw(child.member) where none came of it
//   in the child: accept(ticket)
//
// A ticket is for one process, a child of the one that invites. Whoever knows it and has its
// descriptors can take that place in the family, and nobody else.
#pragma once

#include <cstdint>
#include <forkful/bytes/family.hpp>
#include <forkful/bytes/shared.hpp>
#include <forkful/wait.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace forkful {
inline namespace v0 {
namespace bytes {

struct Invited {
  std::uint32_t member = 0;
  std::string ticket;            // a line of text
  std::vector<int> descriptors;  // that the child has to have; the family's, not the caller's
  std::shared_ptr<void> kept;    // what holds them open: keep it until the child has them
};

// A place in the family for a child that is about to be started, with a share in each of `shares`,
// which it takes up when it adopts them. Threads: any.
// Throws: OsError: nothing is left of it.
Invited invite(const ForkPlan& plan, Shares shares);
// No child came of an invitation, or it was ended: what it would have had is given back. False
// where a child has taken it up already; that one is known by its pid, the answer's other part.
struct Withdrawn {
  bool withdrawn = true;
  int pid = 0;
};
Withdrawn withdraw(std::uint32_t member);

// In the child: becomes the member, and hangs on its elders from then on; ends this process at once
// where these are gone. At exit() the family learns its exit code.
// Throws: LayoutMismatch, Error, OsError: this process is no member and should exit.
void accept(std::string_view ticket);
// Likewise, where the invited one's descriptors have other numbers, which are the callee's then.
void accept(std::string_view ticket, const std::vector<int>& descriptors);

// --- for a process that others are forked from ---

// Forks this process, which has one thread, into a child of its parent's, which is to accept an
// invitation of the parent's. No fork handlers run. 0 in the child. Throws: OsError.
int fork_sibling();
// How many threads this process has; 0: not known.
int count_threads();
// Waits until something can be read from the descriptor, or its other end is gone. False when
// `wait` was interrupted. The family sees this process asleep meanwhile.
bool await_readable(int descriptor, Wait& wait);

// While it lives, a process that this thread starts takes the signals that the program's own would
// take, also where this thread is one of a pool, which takes none.
class SignalsOfChildren {
 public:
  SignalsOfChildren();
  ~SignalsOfChildren();
  SignalsOfChildren(const SignalsOfChildren&) = delete;
  SignalsOfChildren& operator=(const SignalsOfChildren&) = delete;

 private:
  std::shared_ptr<void> before_;
};

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
