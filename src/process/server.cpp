// The server of Context::forkserver: this program, executed once and stopped in init(), that forks
// itself for each start into children of whoever asked.
//
//   parent ──Request, descriptors──► server ──clone──► child: run_invited(), as if executed
//          ◄────────Reply──────────
//
// The server is no member of the family and touches nothing of the arena; it keeps the descriptors
// that its children need. It goes with its parent.

#include <signal.h>

#include <cerrno>
#include <cstdio>
#include <forkful/errors.hpp>
#include <utility>

#include "arena/at_fork.hpp"
#include "base/mutex.hpp"
#include "kernel/child.hpp"
#include "kernel/error.hpp"
#include "kernel/fault.hpp"
#include "kernel/lifeline.hpp"
#include "kernel/process_info.hpp"
#include "kernel/socket.hpp"
#include "process/start.hpp"

namespace forkful::process {
namespace {

using base::MemberId;

// What goes over the socket. The server and its parent are the same program, so the layout is too.
struct Request {
  std::uint64_t nonce;
  std::uint32_t member;
  std::uint32_t root_member;
};
struct Reply {
  int pid;
  int error;
};

// Never destroyed: children may be started while static objects die.
//
// Lock order: turn, mutex. `turn` is held while the server answers, which takes long where the
// server is stopped. A fork must not wait for that, so `turn` is not held across forks, and a
// forked child makes a new one.
struct Local {
  base::Mutex* turn = new base::Mutex;  // one request at a time
  base::Mutex mutex;                    // guards what follows, for moments only; held across fork
  kernel::KeptFd socket FORKFUL_GUARDED_BY(mutex);
  int pid FORKFUL_GUARDED_BY(mutex) = 0;
  // What the server, and so its children, were given.
  Lifelines lifelines FORKFUL_GUARDED_BY(mutex);
  kernel::User user FORKFUL_GUARDED_BY(mutex);
  bool hooked FORKFUL_GUARDED_BY(mutex) = false;
};

Local& local() {
  static Local* one = new Local;
  return *one;
}

// The server is the parent's; a forked child makes another one. No other thread exists.
void drop_inherited() {
  Local& here = local();
  here.mutex.assume_held();  // see arena::at_fork()
  here.socket.reset();
  here.pid = 0;
  here.turn = new base::Mutex;  // a thread that is not here may hold the other one
}

void hook(Local& here) {
  {
    const base::Guard lock(here.mutex);
    if (std::exchange(here.hooked, true)) return;
  }
  arena::at_fork(here.mutex, drop_inherited);
}

// The server inherits this child's marker without the member, so that it has the family's
// descriptors and hangs on the same elder.
void start_server(Local& here, const Marker& child) FORKFUL_REQUIRES(*here.turn) {
  auto ends = kernel::make_message_sockets();
  Marker marker = child;
  marker.invitation.member = {};
  marker.invitation.nonce = 0;
  marker.server = ends.second.get();
  const int pid = execute_again(marker, {});
  const base::Guard lock(here.mutex);
  here.pid = pid;
  here.socket = kernel::KeptFd(std::move(ends.first));
  here.lifelines = child.lifelines;
  here.user = kernel::this_user();
}

// Without a socket, the server ends by itself; it is killed all the same, in case it is stopped.
void bury_server(Local& here) FORKFUL_REQUIRES(*here.turn) {
  int pid = 0;
  {
    const base::Guard lock(here.mutex);
    here.socket.reset();
    pid = std::exchange(here.pid, 0);
  }
  if (pid != 0) kernel::end_child(pid);
}

// -1 where there is none: a server whose socket the program has closed is of no use, nor one from
// before this process became a root.
int socket_for(Local& here, const Lifelines& lifelines) {
  const base::Guard lock(here.mutex);
  return here.lifelines == lifelines ? here.socket.get() : -1;
}

// Nor is one from before this process changed its user: its children would keep the rights that
// this process has given up.
bool is_of_this_user(Local& here) {
  const kernel::User user = kernel::this_user();
  const base::Guard lock(here.mutex);
  return here.user == user;
}

// The child's pid; 0 where the server is gone.
int ask(Local& here, const Marker& child, const std::vector<int>& descriptors)
    FORKFUL_REQUIRES(*here.turn) {
  const Request request{child.invitation.nonce, child.invitation.member.bits,
                        child.lifelines.root_member.bits};
  if (!kernel::send_message(socket_for(here, child.lifelines),
                            std::as_bytes(std::span(&request, 1)), descriptors)) {
    return 0;
  }
  Reply reply{};
  const auto got = kernel::receive_message(socket_for(here, child.lifelines),
                                           std::as_writable_bytes(std::span(&reply, 1)));
  if (!got || got->bytes != sizeof reply) return 0;
  if (reply.error != 0) kernel::throw_error(reply.error, "clone", "the fork server");
  return reply.pid;
}

// In a child of the server.
[[noreturn]] void run_child(Marker marker, const Request& request, kernel::Received received,
                            kernel::Fd& watch) {
  // The child hangs on its elders by its own watch, made in run_invited().
  watch.reset();
  kernel::Fd(std::exchange(marker.server, -1)).reset();
  marker.invitation.member = {request.member};
  marker.invitation.nonce = request.nonce;
  marker.lifelines.root_member = {request.root_member};
  std::vector<int> descriptors;
  descriptors.reserve(received.descriptors.size());
  for (kernel::Fd& each : received.descriptors) descriptors.push_back(each.release());
  run_invited(marker, std::move(descriptors));
}

}  // namespace

Started start_by_server(const Plan& plan, Entry entry, Bytes payload,
                        const bytes::Carried& carried) {
  require_init();
  Local& here = local();
  const base::Guard one_at_a_time(*here.turn);
  hook(here);
  // The second attempt is for a server that was killed.
  for (int turn = 0; turn < 2; ++turn) {
    const Marker marker = invite(plan, entry, payload, carried);
    const MemberId child = marker.invitation.member;
    try {
      if (socket_for(here, marker.lifelines) < 0 || !is_of_this_user(here)) {
        bury_server(here);
        start_server(here, marker);
      }
      const int pid = ask(here, marker, carried.descriptors);
      if (pid != 0) return {pid, child};
      bury_server(here);
      // It may have been killed after the clone, with the child on its way.
      if (!arena::withdraw_member(child)) return {arena::member(child).pid.load(), child};
    } catch (...) {
      arena::process_ended(child);
      throw;
    }
  }
  kernel::throw_error(ECHILD, "start", "a process by the fork server, which was killed twice");
}

void serve(const Marker& marker) {
  flush_streams();  // or each child would print what static initialisers left
  // Ctrl-C goes to the server as well, which has to outlive the calls that this interrupts.
  kernel::IgnoredInterrupts interrupts;
  try {
    kernel::close_on_exec(marker.server);
    // Where that cannot be watched, the end of the socket tells.
    kernel::Fd watch;
    if (marker.lifelines.parent >= 0) {
      watch = kernel::watch_writers(marker.lifelines.parent, SIGKILL);
    }
    for (;;) {
      Request request{};
      auto received =
          kernel::receive_message(marker.server, std::as_writable_bytes(std::span(&request, 1)));
      if (!received || received->bytes != sizeof request) break;
      Reply reply{};
      try {
        reply.pid = kernel::fork_sibling();
      } catch (const OsError& error) {
        reply.error = error.error();
      }
      if (reply.pid == 0 && reply.error == 0) {
        interrupts.restore();
        run_child(marker, request, std::move(*received), watch);
      }
      FORKFUL_FAULT("server.cloned");
      if (!kernel::send_message(marker.server, std::as_bytes(std::span(&reply, 1)))) break;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forkful: the fork server ends: %s\n", error.what());
  }
  kernel::exit_now(0);
}

}  // namespace forkful::process
