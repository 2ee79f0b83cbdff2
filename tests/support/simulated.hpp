// Members of a family as threads of one process, so that a race between them is one that
// ThreadSanitizer sees. Whether one lives is for the test to say.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <thread>
#include <utility>

#include "sync/liveness.hpp"

namespace forkful::test {

// Takes the family's place while it lives.
class SimulatedFamily final : public sync::Liveness {
 public:
  static constexpr std::uint32_t kMost = 64;

  SimulatedFamily() : before_(sync::g_liveness.exchange(this)) {}
  ~SimulatedFamily() override { sync::g_liveness = before_; }

  static base::MemberId id(std::uint32_t slot) { return base::MemberId::of(slot, 7); }
  void end(base::MemberId member, sync::End how) { ends_.at(member.index()) = how; }

  base::MemberId join() override { std::abort(); }
  sync::End end_of(base::MemberId member) override {
    probes_.fetch_add(1, std::memory_order_relaxed);
    return ends_.at(member.index());
  }
  bool room_to_spin() override { return may_spin; }
  void look_around() override {}
  void begin_sleep(const sync::SleepsAt&, std::int64_t) override {
    asleep.fetch_add(1, std::memory_order_relaxed);
  }
  void end_sleep() override { asleep.fetch_sub(1, std::memory_order_relaxed); }

  std::atomic<bool> may_spin{false};
  std::atomic<int> asleep{0};
  [[nodiscard]] int probes() const { return probes_; }

 private:
  sync::Liveness* before_;
  std::array<std::atomic<sync::End>, kMost> ends_{};
  std::atomic<int> probes_{0};
};

// A thread that is the member of entry `slot`.
template <class Body>
std::thread member_thread(std::uint32_t slot, Body body) {
  return std::thread([slot, body = std::move(body)] {
    sync::t_self = SimulatedFamily::id(slot);
    body();
    sync::t_self = {};
  });
}

// This thread as the member of entry `slot`.
class ActAs {
 public:
  explicit ActAs(std::uint32_t slot) { sync::t_self = SimulatedFamily::id(slot); }
  ~ActAs() { sync::t_self = {}; }
  ActAs(const ActAs&) = delete;
  ActAs& operator=(const ActAs&) = delete;
};

}  // namespace forkful::test
