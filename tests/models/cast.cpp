#include "models/cast.hpp"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "support/stepper.hpp"
#include "sync/liveness.hpp"

namespace forkful::models {
namespace {

struct Order {
  Call call;
  Death death;
};

[[noreturn]] void serve(int socket, const Perform& perform) {
  const Answer begun;
  if (::send(socket, &begun, sizeof begun, MSG_NOSIGNAL) != sizeof begun) test::die();
  Order order;
  while (::recv(socket, &order, sizeof order, 0) == sizeof order) {
    if (order.death.how == Death::How::at_point) test::die_at(order.death.point, order.death.pass);
    if (order.death.how == Death::How::at_instruction) test::begin_to_be_stepped();
    const Answer answer = perform(order.call);
    if (::send(socket, &answer, sizeof answer, MSG_NOSIGNAL) != sizeof answer) break;
    if (order.death.how == Death::How::at_instruction) ::raise(SIGSTOP);
  }
  test::die();
}

// Less than the kernel needs to put somebody to sleep and wake it again.
void spin_for(long nanoseconds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::nanoseconds(nanoseconds);
  while (std::chrono::steady_clock::now() < until) {
  }
}

void note_plan(const Death& death) {
  switch (death.how) {
    case Death::How::none:
      return;
    case Death::How::at_point:
      return note(", to die at %s, pass %d", death.point.name(), death.pass);
    case Death::How::at_instruction:
      return note(", to die after %ld instructions", death.after);
    case Death::How::at_time:
      return note(", to die after %ld ns", death.after);
  }
}

}  // namespace

Cast::Cast(int others, Perform perform) : perform_(std::move(perform)) {
  for (int i = 0; i < others; ++i) actors_.push_back(fork_actor());
}

Cast::~Cast() {
  for (Actor& each : actors_) ::close(each.socket);
}

Cast::Actor Cast::fork_actor() {
  int ends[2];
  require(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "a pair of sockets");
  test::Child child = test::fork_child([&] {
    ::close(ends[0]);
    for (const Actor& each : actors_) ::close(each.socket);
    serve(ends[1], perform_);
  });
  ::close(ends[1]);
  // It is a member wholly from now on.
  Answer begun;
  require(::recv(ends[0], &begun, sizeof begun, 0) == sizeof begun, "a member begins");
  return {std::move(child), ends[0], true};
}

base::MemberId Cast::id_of(int who) const {
  return who == 0 ? sync::self() : actor(who).child.member();
}

int Cast::member_for(const Operation& operation) const {
  const auto others = static_cast<std::uint32_t>(actors_.size());
  return static_cast<int>(operation.death.how != Death::How::none ? 1 + operation.who % others
                                                                  : operation.who % (others + 1));
}

std::optional<Answer> Cast::ask(int who, const Call& call, const Death& death) {
  if (who == 0) {
    note("\n");
    return perform_(call);
  }
  note_plan(death);
  Actor& its = actor(who);
  const Order order{call, death};
  require(::send(its.socket, &order, sizeof order, MSG_NOSIGNAL) == sizeof order, "it can be told");
  if (death.how == Death::How::at_instruction) {
    const test::OnOneCpu here(its.child.pid());
    (void)test::step(its.child, death.after);
    its.child.signal(SIGKILL);
  }
  if (death.how == Death::How::at_time) {
    spin_for(death.after);
    its.child.signal(SIGKILL);
  }
  Answer answer;
  const bool answered = ::recv(its.socket, &answer, sizeof answer, 0) == sizeof answer;
  if (death.how != Death::How::none) {
    its.child.signal(SIGKILL);
    its.lives = false;
    const int end = its.child.wait_without_reaping();
    require(end == -SIGKILL, "it was killed, and not: " + std::to_string(end));
    count_death(!answered);
    note(answered ? ": done, and dead\n" : ": dead\n");
  } else {
    note("\n");
    require(answered, "whoever is not killed answers");
  }
  return answered ? std::optional(answer) : std::nullopt;
}

int Cast::end(int who, const Call& call) {
  Actor& its = actor(who);
  const Order order{call, {}};
  require(::send(its.socket, &order, sizeof order, MSG_NOSIGNAL) == sizeof order, "it can be told");
  its.lives = false;
  return its.child.wait_without_reaping();
}

void Cast::kill(int who) {
  Actor& its = actor(who);
  its.lives = false;
  its.child.signal(SIGKILL);
  (void)its.child.wait_without_reaping();
}

void Cast::replace(int who) {
  ::close(actor(who).socket);
  actor(who).socket = -1;
  actor(who) = fork_actor();
}

}  // namespace forkful::models
