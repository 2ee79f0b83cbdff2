// The orphan rule: what forkful started goes when its elders go.
//
//   daemonic children, pool workers   go when their parent is gone, however that ended
//   plain processes                   go when their root was killed by a signal; when it ended by
//                                     itself (in order, by _exit(), by executing another program)
//                                     they live on, and are roots to what they start from then on
//
// A root is the family's first process, and any process that the program forked by itself: a daemon
// that a program makes in that way depends on nobody.
//
// A process hears that an elder may be gone by a signal (see kernel/lifeline.hpp: the pipe, which
// each elder holds the write end of, and the parent's death). Losing a descriptor is no death, so
// it then looks whether the elder lives (arena/members.hpp), and, where that matters, how it went:
//
//   it has said so               at exit(), quick_exit(), and Python's os._exit()
//   it runs, but no longer us    it has executed another program
//   a zombie                     /proc tells, unless it had dropped its privileges
//   waited for                   its pidfd tells, from Linux 6.15 on
//
// A process of which nothing tells how it ended counts as killed.
//
// A stopped process would hear of it only when somebody continues it, and maybe nobody is left who
// does; so the pipe sends SIGCONT as well. Those that live on get it, too. The kernel does the same
// where a stopped process group loses the last process that could continue it.
//
// The same look is taken whenever a slice of a sleep in forkful has passed, for processes that
// block the signal or have lost both ways by which it comes.
//
// LIFELINES.md has the descriptors, forks of the program's own, and what a death leaves.
//
// Threads: any. Fork: every child closes the write ends it inherits, or its parent's death would
// go unnoticed for as long as the child lives.
#pragma once

#include "base/ids.hpp"

namespace forkful::process {

using base::MemberId;

// What a child hangs on; descriptors, or -1.
struct Lifelines {
  int parent = -1;        // the parent's pipe
  int root = -1;          // the root's
  int root_process = -1;  // a pidfd of the root
  MemberId root_member;

  friend bool operator==(const Lifelines&, const Lifelines&) = default;
};

// Makes what a child of this process will need. Throws: OsError(EMFILE).
Lifelines make_lifelines();

// In a forked child: hangs it on what it inherited. `flags`: its MemberFlags.
void hang_forked(std::uint32_t flags);
// In a re-executed child, whose descriptors come from its marker; takes them.
void hang_executed(std::uint32_t flags, const Lifelines& inherited);

}  // namespace forkful::process
