// Waits that end at a time of any clock, or when a stop is requested.

#include <atomic>
#include <cmath>
#include <forkful/forkful.hpp>
#include <mutex>
#include <thread>

#include "unit/api/contexts.hpp"

namespace forkful::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using std::chrono::system_clock;

// A clock that somebody sets.
struct SetClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<SetClock>;
  [[maybe_unused]] static constexpr bool is_steady = false;  // a clock has to have it
  static time_point now() {
    ++looks;
    return time_point(steady_clock::now().time_since_epoch() + duration(ahead));
  }
  static inline std::atomic<std::int64_t> ahead{0};
  static inline std::atomic<int> looks{0};
};

// Each takes a time or a token, as `until`: what takes a token has a shorter name.
constexpr auto lock_of = [](const auto& lock) {
  return [&](auto until) {
    if constexpr (requires { lock.lock(until); }) {
      return lock.lock(until);
    } else {
      return lock.try_lock_until(until);
    }
  };
};
constexpr auto acquire_of = [](const auto& semaphore) {
  return [&](auto until) {
    if constexpr (requires { semaphore.acquire(until); }) {
      return semaphore.acquire(until);
    } else {
      return semaphore.try_acquire_until(until);
    }
  };
};
constexpr auto wait_of = [](const auto& waited_for) {
  return [&](auto until) {
    if constexpr (requires { waited_for.wait(until); }) {
      return bool(waited_for.wait(until));
    } else {
      return bool(waited_for.wait_until(until));
    }
  };
};
constexpr auto put_of = [](const auto& queue) {
  return [&](auto until) {
    if constexpr (requires { queue.put(2, until); }) {
      return queue.put(2, until);
    } else {
      return queue.put_until(2, until);
    }
  };
};
constexpr auto get_of = [](const auto& queue) {
  return [&](auto until) {
    if constexpr (requires { queue.get(until); }) {
      return queue.get(until).has_value();
    } else {
      return queue.get_until(until).has_value();
    }
  };
};
constexpr auto join_of = [](const auto& queue) {
  return [&](auto until) {
    if constexpr (requires { queue.join(until); }) {
      return queue.join(until);
    } else {
      return queue.join_until(until);
    }
  };
};

template <class Each>
void for_each_wait_of_locks(Each each) {
  const Lock lock;
  const RLock rlock;
  lock.lock();
  std::jthread([&] { rlock.lock(); }).join();  // that thread keeps it
  const Semaphore semaphore(0);
  const BoundedSemaphore bounded(0);
  const Event event;
  const Condition condition;
  condition.lock();
  const Condition locked(lock);
  each("Lock", lock_of(lock));
  each("RLock", lock_of(rlock));
  each("Condition.lock", lock_of(locked));
  each("Semaphore", acquire_of(semaphore));
  each("BoundedSemaphore", acquire_of(bounded));
  each("Event", wait_of(event));
  each("Condition", wait_of(condition));
  each("Barrier", [](auto until) {
    const Barrier barrier(2);  // a new one, since one that was left is broken
    return wait_of(barrier)(until);
  });
  condition.unlock();
}

template <class Each>
void for_each_wait_of_queues(Each each) {
  const Queue<int> empty;
  const Queue<int> full(1);
  full.put(1);
  const JoinableQueue<int> unfinished;
  unfinished.put(1);
  const SimpleQueue<int> simple;
  each("Queue.put", put_of(full));
  each("Queue.get", get_of(empty));
  each("SimpleQueue.get", get_of(simple));
  each("JoinableQueue.join", join_of(unfinished));
}

// Each blocking call that takes a time and a token, on something that it has to wait for.
template <class Each>
void for_each_wait(Each each) {
  for_each_wait_of_locks(each);
  for_each_wait_of_queues(each);
}

TEST(Until, every_wait_ends_at_its_time_and_not_before) {
  for_each_wait([](const char* name, auto wait) {
    SCOPED_TRACE(name);
    const auto steady = steady_clock::now() + 3ms;
    EXPECT_FALSE(wait(steady));
    EXPECT_GE(steady_clock::now(), steady);
    const auto system = system_clock::now() + 3ms;
    EXPECT_FALSE(wait(system));
    EXPECT_GE(system_clock::now(), system);
  });
}

TEST(Until, every_wait_ends_at_once_when_its_time_is_over) {
  for_each_wait([](const char* name, auto wait) {
    SCOPED_TRACE(name);
    EXPECT_FALSE(wait(steady_clock::time_point()));
    EXPECT_FALSE(wait(steady_clock::now() - 1h));
    EXPECT_FALSE(wait(steady_clock::time_point::min()));
    EXPECT_FALSE(wait(system_clock::time_point::min()));
  });
}

TEST(Until, a_stop_request_ends_every_wait) {
  for_each_wait([](const char* name, auto wait) {
    SCOPED_TRACE(name);
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    EXPECT_FALSE(wait(stop.get_token()));
  });
}

TEST(Until, a_clock_set_forward_ends_a_wait_and_one_set_back_prolongs_it) {
  const Event event;
  {
    SetClock::looks = 0;
    std::jthread setter([] {
      ASSERT_TRUE(eventually([] { return SetClock::looks > 1; })) << "it waits";
      SetClock::ahead = std::chrono::nanoseconds(1h).count();
    });
    EXPECT_FALSE(event.wait_until(SetClock::now() + 1h));
  }
  const auto until = SetClock::now() + 20ms;
  SetClock::looks = 0;
  std::jthread setter([] {
    ASSERT_TRUE(eventually([] { return SetClock::looks > 0; }));
    SetClock::ahead -= std::chrono::nanoseconds(30ms).count();
  });
  EXPECT_FALSE(event.wait_until(until));
  EXPECT_GE(SetClock::now(), until);
}

TEST(Until, a_clock_set_forward_ends_a_wait_for_a_pool) {
  const Event event;
  Pool pool({.processes = 1, .context = Context::fork});
  auto result = pool.apply_async([](const Event& until) { until.wait(); }, event);
  const auto set_forward_in = [](auto wait) {
    SetClock::looks = 0;
    std::jthread setter([] {
      ASSERT_TRUE(eventually([] { return SetClock::looks > 1; })) << "it waits";
      SetClock::ahead += std::chrono::nanoseconds(1h).count();
    });
    return wait(SetClock::now() + 1h);
  };
  EXPECT_FALSE(set_forward_in([&](auto until) { return result.wait_until(until); }));
  EXPECT_FALSE(set_forward_in([&](auto until) { return result.get_until(until); }));
  pool.close();
  EXPECT_FALSE(set_forward_in([&](auto until) { return pool.join_until(until); }));
  event.set();
  EXPECT_TRUE(result.wait_until(SetClock::now() + 1h));
  EXPECT_TRUE(pool.join_until(SetClock::now() + 1h));
}

TEST(Until, what_can_be_had_is_had_however_late_it_is) {
  const auto past = system_clock::now() - 1h;
  std::stop_source stop;
  stop.request_stop();
  const Lock lock;
  EXPECT_TRUE(lock.try_lock_until(past));
  lock.unlock();
  EXPECT_TRUE(lock.lock(stop.get_token()));
  const Semaphore semaphore(2);
  EXPECT_TRUE(semaphore.try_acquire_until(past));
  EXPECT_TRUE(semaphore.acquire(stop.get_token()));
  const Queue<int> queue(1);
  EXPECT_TRUE(queue.put_until(1, past));
  EXPECT_EQ(queue.get_until(past), 1);
  EXPECT_TRUE(queue.put(2, stop.get_token()));
  EXPECT_EQ(queue.get(stop.get_token()), 2);
}

TEST(Until, durations_too_long_for_nanoseconds_have_no_end) {
  using namespace std::chrono;
  EXPECT_TRUE(Deadline::in(hours::max()).is_never());
  EXPECT_TRUE(Deadline::in(minutes::max()).is_never());
  EXPECT_TRUE(Deadline::in(microseconds::max()).is_never());
  EXPECT_TRUE(Deadline::in(nanoseconds::max()).is_never());
  EXPECT_TRUE(Deadline::in(duration<double>(1e300)).is_never());
  EXPECT_TRUE(Deadline::in(hours(24 * 365 * 300)).is_never()) << "three centuries";
  EXPECT_TRUE(Deadline::in(hours::min()).is_poll());
  EXPECT_TRUE(Deadline::in(nanoseconds::min()).is_poll());
  EXPECT_TRUE(Deadline::in(duration<double>(std::nan(""))).is_poll());
  EXPECT_EQ(Duration(duration<int, std::pico>(1)).span(), 1ns) << "no wait is shorter than asked";
  EXPECT_EQ(Duration(duration<double>(0.5)).span(), 500ms);
  const auto before = steady_clock::now();
  EXPECT_LE(Deadline::at(before + 24h * 365).at_ns, Deadline::in(24h * 365).at_ns);
}

template <class Unit>
void check_odd_unit(double most_years) {
  SCOPED_TRACE(static_cast<double>(Unit::period::num) / Unit::period::den);
  using namespace std::chrono;
  constexpr double kYear = 365.0 * 24 * 3600;
  const auto of_seconds = [](double length) {
    return Unit(static_cast<std::int64_t>(length * Unit::period::den / Unit::period::num));
  };
  for (const double years : {0.001, 1.0, 100.0, 290.0}) {
    if (years > most_years) continue;
    const Unit span = of_seconds(years * kYear);
    EXPECT_NEAR(duration<double>(Duration(span).span()).count() / kYear, years, years * 1e-6);
    const auto since = duration_cast<seconds>(steady_clock::now().time_since_epoch());
    const auto later = of_seconds(static_cast<double>(since.count()) + years * kYear);
    using Time = time_point<steady_clock, Unit>;
    EXPECT_GT(Deadline::at(Time(later)).at_ns, Deadline::in(nanoseconds::zero()).at_ns);
  }
  using Time = time_point<system_clock, Unit>;
  EXPECT_FALSE(detail::has_come(Time(of_seconds(std::min(most_years, 100.0) * kYear))));
  EXPECT_TRUE(detail::has_come(Time(of_seconds(kYear))));
}

TEST(Until, durations_and_times_of_odd_units_do_not_overflow) {
  using std::chrono::duration;
  check_odd_unit<duration<std::int64_t, std::ratio<1, 60>>>(290);
  check_odd_unit<duration<std::int64_t, std::ratio<1001, 30000>>>(290);
  check_odd_unit<duration<std::int64_t, std::ratio<1, 7>>>(290);
  check_odd_unit<duration<std::int64_t, std::ratio<1, 30>>>(290);
  check_odd_unit<duration<std::int64_t, std::ratio<7, 1'000'000'007>>>(290);
  check_odd_unit<duration<std::int64_t, std::nano>>(290);
}

TEST(Until, a_time_that_is_not_a_number_is_over) {
  using NoTime = std::chrono::duration<double>;
  const Queue<int> queue;
  EXPECT_FALSE(queue.get_until(std::chrono::time_point<system_clock, NoTime>(NoTime(NAN))));
  EXPECT_FALSE(queue.get_until(std::chrono::time_point<steady_clock, NoTime>(NoTime(NAN))));
}

TEST(Until, the_longest_duration_ends_no_wait_before_what_is_waited_for) {
  const Event begun;
  const Queue<int> queue;
  const Event event;
  std::jthread later([&] {
    begun.wait();
    queue.put(1);
    event.set();
  });
  begun.set();
  EXPECT_EQ(queue.get_for(std::chrono::hours::max()), 1);
  EXPECT_TRUE(event.wait_for(std::chrono::seconds::max()));
  Pool pool(1);
  auto result = pool.apply_async({.timeout = std::chrono::hours::max()}, [] { return 2; });
  EXPECT_TRUE(result.wait_for(std::chrono::minutes::max()));
  EXPECT_EQ(result.get(), 2);
  Process child([] {});
  EXPECT_TRUE(child.join_for(std::chrono::hours::max()));
}

TEST(Until, times_beyond_all_clocks_are_never) {
  using std::chrono::hours;
  using Far = std::chrono::time_point<steady_clock, hours>;
  EXPECT_TRUE(Deadline::at(Far(hours::max())).is_never());
  EXPECT_TRUE(Deadline::at(steady_clock::time_point::max()).is_never());
  EXPECT_TRUE(Deadline::at(Far(hours::min())).is_poll());
  EXPECT_EQ(Deadline::at(steady_clock::time_point(5ns)).at_ns, 5);
  using Fine = std::chrono::time_point<steady_clock, std::chrono::duration<double, std::nano>>;
  EXPECT_EQ(Deadline::at(Fine(std::chrono::duration<double, std::nano>(4.5))).at_ns, 5);
  const Semaphore free;
  EXPECT_TRUE(free.try_acquire_until(system_clock::time_point::max()));
  using FarSystem = std::chrono::time_point<system_clock, hours>;
  const Queue<int> queue;
  std::jthread later([&] { queue.put(1); });
  EXPECT_EQ(queue.get_until(FarSystem::max()), 1);
  EXPECT_EQ(queue.get_until(FarSystem::min()), std::nullopt);
}

TEST(Until, standard_locks_take_ours) {
  Lock lock;
  const std::unique_lock held(lock, system_clock::now() + 10s);
  EXPECT_TRUE(held.owns_lock());
  const std::unique_lock late(lock, steady_clock::now() + 1ms);
  EXPECT_FALSE(late.owns_lock());
}

class Bounded : public AllContexts {};
FORKFUL_OVER_ALL_CONTEXTS(Bounded);

TEST_P(Bounded, a_bounded_semaphore_refuses_one_release_too_many_everywhere) {
  BoundedSemaphore semaphore(2);
  EXPECT_THROW(semaphore.release(), Error);
  Process child(
      {.context = GetParam()},
      [](BoundedSemaphore& bounded, Semaphore& same) {
        bounded.acquire();
        same.release();
        try {
          same.release();
        } catch (const Error&) {
          same.acquire();
        }
      },
      semaphore, static_cast<const Semaphore&>(semaphore));
  child.join();
  EXPECT_EQ(child.exit_code(), 0);
  EXPECT_EQ(semaphore.value(), 1u);
}

}  // namespace
}  // namespace forkful::test
