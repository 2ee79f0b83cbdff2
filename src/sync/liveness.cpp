// Who answers for liveness: this file's Alone before the first use of forkful in a process, then
// the arena (arena/membership.cpp).
#include "sync/liveness.hpp"

namespace forkful::sync {
namespace {

// Until there is a family every process is alone in it.
class Alone final : public Liveness {
 public:
  MemberId join() override { return MemberId::of(1, 1); }
  End end_of(MemberId) override { return End::alive; }
  bool room_to_spin() override { return false; }
  void look_around() override {}
  void begin_sleep(const SleepsAt&, std::int64_t) override {}
  void end_sleep() override {}
};

Alone g_alone;
// Reads 0, so self() asks join().
std::atomic<std::uint32_t> g_nobody{0};

}  // namespace

std::atomic<Liveness*> g_liveness = &g_alone;
std::atomic<std::atomic<std::uint32_t>*> g_self = &g_nobody;

#ifdef FORKFUL_SIMULATION
thread_local MemberId t_self;
#endif

}  // namespace forkful::sync
