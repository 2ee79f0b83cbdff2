# Places of the engine that must not be weaker than they are, by protocol.

# --- the owner word ---

schedules_mutant(unlock_relaxed owner_word sync/owner_word.hpp
  [[word_.exchange(0, std::memory_order_seq_cst)]]
  [[word_.exchange(0, std::memory_order_relaxed)]]
  sync/owner_word.cpp)
schedules_mutant(lock_relaxed owner_word sync/owner_word.hpp
  [[me.bits, std::memory_order_acquire,]]
  [[me.bits, std::memory_order_relaxed,]]
  sync/owner_word.cpp)
schedules_mutant(slept_and_forgets_others owner_word sync/owner_word.cpp
  [[compare_exchange_weak(now, me.bits | kSleepers, std::memory_order_acquire)]]
  [[compare_exchange_weak(now, me.bits, std::memory_order_acquire)]]
  sync/owner_word.cpp)
schedules_mutant(leaves_without_a_word owner_word sync/owner_word.cpp
  [[if (!woken && slices.expired()) return Locked::timed_out;]]
  [[if (slices.expired()) return Locked::timed_out;]]
  sync/owner_word.cpp)
schedules_mutant(takes_over_and_forgets_sleepers owner_word sync/owner_word.cpp
  [[compare_exchange_weak(was, me.bits | kSleepers, std::memory_order_acquire)]]
  [[compare_exchange_weak(was, me.bits, std::memory_order_acquire)]]
  sync/owner_word.cpp)

# --- the bell ---

schedules_mutant(unlock_acq_rel bell sync/owner_word.hpp
  [[word_.exchange(0, std::memory_order_seq_cst)]]
  [[word_.exchange(0, std::memory_order_acq_rel)]]
  sync/owner_word.cpp)
schedules_mutant(looks_not_past_the_lock bell sync/owner_word.hpp
  [[(void)word_.load(std::memory_order_seq_cst);]]
  [[(void)word_.load(std::memory_order_acquire);]]
  sync/bell.cpp)
schedules_mutant(spinner_withdraws_with_release bell sync/bell.hpp
  [[withdraw(mine, std::memory_order_seq_cst);]]
  [[withdraw(mine, std::memory_order_release);]]
  sync/bell.cpp)
schedules_mutant(woken_and_forgets_others bell sync/bell.hpp
  [[word_.fetch_or(kSleepers, std::memory_order_seq_cst);]]
  [[return Waited::done;]]
  sync/bell.cpp)
schedules_mutant(notifies_by_acquire bell sync/bell.hpp
  [[if ((word_.load(std::memory_order_seq_cst) & kSleepers) == 0) return;]]
  [[if ((word_.load(std::memory_order_acquire) & kSleepers) == 0) return;]]
  sync/bell.cpp)
schedules_mutant(sleeps_by_acquire bell sync/bell.hpp
  [[!word_.compare_exchange_weak(seen, seen | kSleepers, std::memory_order_seq_cst)]]
  [[!word_.compare_exchange_weak(seen, seen | kSleepers, std::memory_order_acq_rel)]]
  sync/bell.cpp)
schedules_mutant(forgets_the_rest bell sync/bell.hpp
  [[look_past_lock();
    return true;]]
  [[return true;]]
  sync/bell.cpp)
