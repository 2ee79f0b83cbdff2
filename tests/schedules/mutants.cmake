# Places of the engine that must not be weaker than they are.

schedules_mutant(unlock_relaxed owner_word sync/owner_word.hpp
  [[word_.exchange(0, std::memory_order_acq_rel)]]
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
