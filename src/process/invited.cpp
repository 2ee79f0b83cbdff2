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
#include "kernel/signals.hpp"
#include "process/lifelines.hpp"
#include "process/start.hpp"

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

void accept(std::string_view ticket) {
  process::Marker marker;
  if (!marker.parse(std::string(ticket).c_str())) {
    throw Error("the ticket by which this process was invited is malformed");
  }
  process::take_place(marker);
  process::drop_start(marker.invitation.member);
  kernel::at_exit_with_code(arena::leave_family);
}

SignalsOfChildren::SignalsOfChildren() : before_(kernel::take_signals_of_children()) {}
SignalsOfChildren::~SignalsOfChildren() = default;

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
