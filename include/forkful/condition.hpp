// A condition that processes wait for, with its lock.
//
//   forkful::Condition filled;
//   {
//     std::unique_lock held(filled);                    // one process …
//     filled.wait([&] { return total.load() > 9; });
//   }
//   const std::lock_guard held(filled);                 // … and another
//   total.store(10);
//   filled.notify_all();
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <forkful/bytes/condition.hpp>
#include <forkful/detail/codec/codec.hpp>
#include <forkful/detail/waits/acquire.hpp>
#include <forkful/detail/waits/until.hpp>
#include <forkful/errors.hpp>
#include <forkful/lock.hpp>
#include <forkful/rlock.hpp>
#include <stop_token>
#include <utility>
#include <variant>

namespace forkful {
inline namespace v0 {

// Has its lock's words (lock, try_lock, …), so std::unique_lock takes it, as Python's `with` does;
// conditions over the same lock can be made of it. Copies share one condition and its lock, and so
// does the copy that arrives when a Condition is sent.
//
// wait() gives the lock away, however deep it is held, until a notification, and takes it again.
// notify(n) wakes n of those who wait then; nobody who comes later can take their places.
//
// Threads: any thread of any process of the family.
// Death:   a waiter that dies takes no notification along that it had not got; a later notify() may
//          wake one more than it was asked to, so look again at what you wait for.
//          Whoever dies with the lock is found by the others: lock() throws LockOwnerDied, and so
//          does a wait() that wants the lock back. That wait() holds it nevertheless, since its
//          caller will unlock it; what it guards may be half-changed. Of one that dies before it
//          notifies nobody is told: where that may happen, use wait_for().
// Fork:    usable in the child.
class Condition {
 public:
  // Not explicit, so that `= {}` makes one.
  Condition(const Label& label = std::source_location::current())
      : Condition(RLock(OnOwnerDeath::raise, label), label) {}
  explicit Condition(RLock lock, const Label& label = std::source_location::current())
      : condition_(bytes::RawCondition::create(label)), lock_(std::move(lock)) {}
  explicit Condition(Lock lock, const Label& label = std::source_location::current())
      : condition_(bytes::RawCondition::create(label)), lock_(std::move(lock)) {}

  // As the lock's own.
  void lock() const {
    std::visit([](const auto& lock) { lock.lock(); }, lock_);
  }
  [[nodiscard]] bool lock(std::stop_token token) const {
    return std::visit([&](const auto& lock) { return lock.lock(std::move(token)); }, lock_);
  }
  [[nodiscard]] bool try_lock() const {
    return std::visit([](const auto& lock) { return lock.try_lock(); }, lock_);
  }
  [[nodiscard]] bool try_lock_for(Duration duration) const {
    return std::visit([&](const auto& lock) { return lock.try_lock_for(duration); }, lock_);
  }
  template <class Clock, class Unit>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Unit>& when) const {
    return std::visit([&](const auto& lock) { return lock.try_lock_until(when); }, lock_);
  }
  void unlock() const {
    std::visit([](const auto& lock) { lock.unlock(); }, lock_);
  }
  [[nodiscard]] bool recover() const {
    return std::visit([](const auto& lock) { return lock.recover(); }, lock_);
  }
  [[nodiscard]] const std::variant<RLock, Lock>& get_lock() const { return lock_; }

  // All that follow: Requires: the lock is held here. Throws: Error, where it is not; those that
  // wait: LockOwnerDied, with the lock held.

  void wait() const {
    Wait forever;
    (void)wait_with(forever);
  }
  // False: no notification in time, respectively before the stop.
  [[nodiscard]] bool wait_for(Duration duration) const {
    Wait until(Deadline::in(duration));
    return wait_with(until);
  }
  template <class Clock, class Unit>
  [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Unit>& when) const {
    return detail::attempt_until(when, [&](Wait& until) { return wait_with(until); });
  }
  [[nodiscard]] bool wait(std::stop_token token) const {
    StopWait until(std::move(token));
    return wait_with(until);
  }

  // Until `holds()`, which is called with the lock held. The answer is its last one.
  template <std::predicate Holds>
  void wait(Holds&& holds) const {
    while (!holds()) wait();
  }
  template <std::predicate Holds>
  [[nodiscard]] bool wait_for(Duration duration, Holds&& holds) const {
    const Deadline deadline = Deadline::in(duration);
    return wait_while_not(holds, [&] {
      Wait until(deadline);
      return wait_with(until);
    });
  }
  template <class Clock, class Unit, std::predicate Holds>
  [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Unit>& when,
                                Holds&& holds) const {
    return wait_while_not(holds, [&] { return wait_until(when); });
  }
  template <std::predicate Holds>
  [[nodiscard]] bool wait(const std::stop_token& token, Holds&& holds) const {
    return wait_while_not(holds, [&] { return !token.stop_requested() && wait(token); });
  }

  // Wakes `count` waiters, or all there are if these are fewer.
  void notify(std::uint32_t count = 1) const {
    if (!is_held()) throw_not_held("notify");
    condition_.notify(count);
  }
  void notify_one() const { notify(1); }
  void notify_all() const { notify(0xffffffff); }

  friend bool operator==(const Condition&, const Condition&) = default;

  // For sending handles.
  static void write(Writer& to, const Condition& condition) {
    to.share(condition.condition_);
    to.raw(std::holds_alternative<Lock>(condition.lock_));
    std::visit([&](const auto& lock) { to.share(lock.shared()); }, condition.lock_);
  }
  static Condition read(Reader& from) {
    auto condition = bytes::RawCondition::adopt(from.raw<bytes::Shared::Id>());
    const bool plain = from.raw<bool>();
    const auto lock = from.raw<bytes::Shared::Id>();
    if (plain) return {std::move(condition), Lock::adopt(lock)};
    return {std::move(condition), RLock::adopt(lock)};
  }

 private:
  Condition(bytes::RawCondition condition, std::variant<RLock, Lock> lock)
      : condition_(std::move(condition)), lock_(std::move(lock)) {}

  [[nodiscard]] bool is_held() const {
    return std::visit([](const auto& lock) { return lock.lock_.mine(); }, lock_);
  }
  [[noreturn]] void throw_not_held(const std::string& call) const {
    throw Error(call + ": the lock of the " + condition_.called("Condition") +
                " is not held here; lock the Condition first");
  }
  bool wait_with(Wait& until) const {
    return std::visit([&](const auto& lock) { return wait_with(lock.lock_, until); }, lock_);
  }
  template <class Raw>
  bool wait_with(const Raw& lock, Wait& until) const {
    if (!lock.mine()) throw_not_held("wait");
    // The ticket is taken while the lock is still had, so the lock's next owner notifies this one.
    const std::uint64_t ticket = condition_.enter();
    const std::uint32_t depth = lock.release_all();
    const Waited how = condition_.wait(ticket, until);
    lock_again(lock, depth);
    return how == Waited::done;
  }
  template <class Raw>
  static void lock_again(const Raw& lock, std::uint32_t depth) {
    bool recovered = false;
    for (Wait forever; !recovered && lock.acquire(forever) != bytes::Acquired::yes;) {
      recovered = lock.recover();
    }
    for (std::uint32_t i = 1; i < depth; ++i) {
      Wait poll(Deadline::poll());
      (void)lock.acquire(poll);
    }
    if (recovered) {
      throw LockOwnerDied(
          "the process that held the " + lock.called("lock") +
          " of a Condition died while another one waited, so what the lock guards may be "
          "half-changed; the lock is held here again");
    }
  }
  template <class Holds, class Once>
  static bool wait_while_not(Holds& holds, Once&& once) {
    while (!holds()) {
      if (!once()) return holds();
    }
    return true;
  }

  bytes::RawCondition condition_;
  std::variant<RLock, Lock> lock_;
};

template <>
struct codec<Condition> {
  static void write(Writer& to, const Condition& condition) { Condition::write(to, condition); }
  static Condition read(Reader& from) { return Condition::read(from); }
};

namespace detail {
template <>
inline constexpr bool is_shared_handle<Condition> = true;
}  // namespace detail

}  // namespace v0
}  // namespace forkful
