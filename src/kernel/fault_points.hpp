// The fault points, all of them: a name that is not in this list does not compile, neither in the
// engine nor in a test. tests/tidy looks that each is passed somewhere in the engine, and that a
// test dies at each.
#pragma once

#include <string_view>

namespace forkful::kernel {

inline constexpr std::string_view kFaultPoints[] = {
    "barrier.arrived",           // a party is counted
    "barrier.broken",            // nobody has been woken yet
    "barrier.ended",             // a round is over; nobody has been woken yet
    "barrier.releasing",         // the last party is about to release the others
    "cargo.loading",             // part of what a message names is held, or all of it
    "condition.entered",         // a ticket was taken
    "condition.left",            // a waiter has given its ticket up
    "condition.notified",        // permits are there; nobody has been woken yet
    "condition.taken",           // a waiter has its permit
    "connection.received_part",  // of a message
    "connection.sent_part",      // of a message
    "dict.look.entry",           // a reader without the lock has looked up the segment
    "dict.look.read",            // it has found the value, or none, and looks whether that holds
    "dict.look.record",          // it has found a record of that tag
    "dict.look.root",            // it has looked up the directory
    "dict.look.value",           // it has found the value, and copies it next
    "heap.cooling",              // free pages are about to go back to the kernel
    "heap.windows_cold",         // the pages of whole windows have gone back
    "journal.applying",          // a word of the change was stored
    "journal.committed",         // nothing has been applied yet
    "journal.staged",            // nothing has been committed yet
    "labels.written",            // a text is in a free place, and not entered yet
    "lifelines.looked",          // the elder was there; whether the root is, is asked next
    "members.reaping",           // the entry says how its member ended; nothing was given back yet
    "message.writing",           // a part of a block's bytes is about to be written
    "message.written",           // a block is whole; nobody has been told of it
    "objects.burying",           // a step of an object's end is about to be made
    "pool.claimed",              // a worker has a task
    "pool.item.begun",           // and has begun an item
    "pool.item.committed",       // and has a result of it
    "pool.pushing",              // a task, or a result, is about to be in a ring
    "queue.get.committed",       // a message is the receiver's
    "queue.get.copied",          // and is still in the queue
    "queue.get.looked",          // no message was known of; the tail is looked at next
    "queue.put.committed",       // a message is in the queue; nobody has been woken yet
    "queue.put.reserved",        // a message's bytes are in the ring; nobody sees it yet
    "server.cloned",             // the server has made a child, and has not said so
    "shared_memory.named",       // the file has its name, and not yet its size
    "start.accepted",            // a child is a member, and has run nothing yet
    "start.invited",             // a place is reserved, and nobody was started for it yet
    "task_count.counted",        // a task is done; nobody has been woken yet
    // Of the test of all this.
    "test.elsewhere",
    "test.here",
    "test.here.too",
};

// A loop of its own: std::ranges::find needs a larger header, and every file of the engine includes
// this.
constexpr bool is_fault_point(std::string_view name) {
  for (const std::string_view each : kFaultPoints) {
    if (each == name) return true;
  }
  return false;
}

// The name of a point. A string literal of the list becomes one by itself.
class FaultPoint {
 public:
  consteval FaultPoint(const char* name) : name_(name) {
    if (!is_fault_point(name)) throw "no fault point in kernel/fault_points.hpp has this name";
  }
  // Of a name that is known only when the program runs. One that is not in the list ends it.
  static FaultPoint named(std::string_view name);

  [[nodiscard]] constexpr const char* name() const { return name_; }
  // By text: the same literal may lie at two addresses in two object files.
  friend constexpr bool operator==(FaultPoint a, FaultPoint b) {
    return std::string_view(a.name_) == b.name_;
  }

 private:
  struct Listed {};
  constexpr FaultPoint(const char* name, Listed) : name_(name) {}
  const char* name_;
};

}  // namespace forkful::kernel
