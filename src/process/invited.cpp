// A child's place in the family apart from its start: the inviting side and the accepting one, for
// callers that execute a program by themselves.
//
// An inviter that is killed leaves a reserved member, which a sweep gives back. A ticket that was
// taken up, or withdrawn, makes nobody a member any more.
#include <forkful/bytes/start.hpp>
#include <forkful/errors.hpp>
#include <string>
#include <utility>

#include "arena/members.hpp"
#include "arena/membership.hpp"
#include "kernel/child.hpp"
#include "kernel/fd.hpp"
#include "kernel/process_info.hpp"
#include "kernel/signals.hpp"
#include "process/lifelines.hpp"
#include "process/start.hpp"
#include "sync/pace.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {

Invited invite(const ForkPlan& plan, Shares shares) {
  const process::Plan wanted{
      .daemonic = plan.daemonic, .pool_worker = plan.pool_worker, .name = plan.name};
  process::Marker marker = process::reserve_place(wanted, shares);
  try {
    auto lowered = std::make_shared<std::vector<kernel::Fd>>(marker.lower_descriptors());
    return {marker.invitation.member.bits, marker.words(), marker.descriptors(),
            std::move(lowered)};
  } catch (...) {
    arena::process_ended(marker.invitation.member);
    throw;
  }
}

Withdrawn withdraw(std::uint32_t member) {
  const base::MemberId child{member};
  if (arena::withdraw_member(child)) return {};
  return {false, arena::member(child).pid.load()};
}

namespace {

void accept_place(std::string_view ticket, const std::vector<int>* descriptors) {
  process::Marker marker;
  if (!marker.parse(std::string(ticket).c_str()) ||
      (descriptors != nullptr && !marker.renumber(*descriptors))) {
    throw Error("the ticket by which this process was invited is malformed");
  }
  process::take_place(marker);
  process::drop_start(marker.invitation.member);
  kernel::at_exit_with_code(arena::leave_family);
}

}  // namespace

void accept(std::string_view ticket) { accept_place(ticket, nullptr); }
void accept(std::string_view ticket, const std::vector<int>& descriptors) {
  accept_place(ticket, &descriptors);
}

int fork_sibling() { return kernel::fork_sibling(); }

int count_threads() { return kernel::count_threads(); }

bool await_readable(int descriptor, Wait& wait) {
  sync::Blocking blocking(wait);
  sync::Slices slices(wait);
  for (;;) {
    blocking.begin();
    const sync::SleepsAt place{sync::SleepsAt::What::descriptors,
                               static_cast<std::uint64_t>(descriptor)};
    if (slices.sleep(place,
                     [&](std::int64_t until) { return kernel::wait_for_end(descriptor, until); })) {
      return true;
    }
    sync::liveness().slice_ended();
    if (wait.interrupted(true)) return false;
  }
}

SignalsOfChildren::SignalsOfChildren() : before_(kernel::take_signals_of_children()) {}
SignalsOfChildren::~SignalsOfChildren() = default;

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
