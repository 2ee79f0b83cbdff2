// The orphan rule: who started by forkful goes when its elders go.
//
//   daemonic children, pool workers   hang on their parent: SIGKILL when it is gone
//   plain processes                   hang on the family's root: when it is gone without having
//                                     left in order, they kill themselves
//
// Each parent holds the write end of one pipe; see kernel/lifeline.hpp. A member that was forked
// by the program itself, before the root had a lifeline, is a root to those it starts.
//
// Threads: any. Fork: every child closes the write ends it inherits, or its parent's death would
// go unnoticed for as long as the child lives.
#pragma once

#include "base/ids.hpp"

namespace forkful::process {

using base::MemberId;

// The descriptors that a child hangs on.
struct Lifelines {
  int parent = -1;
  int root = -1;
  MemberId root_member;  // who holds the write end of `root`
};

// Makes what a child of this process will need. Throws: OsError(EMFILE).
Lifelines make_lifelines();

// In a forked child: hangs it on what it inherited. `flags`: its MemberFlags.
void hang_forked(std::uint32_t flags);
// In a re-executed child, whose descriptors come from its marker; takes them.
void hang_executed(std::uint32_t flags, const Lifelines& inherited);

}  // namespace forkful::process
