// What the compiler calls for each access to memory in code that is compiled with
// -fsanitize=thread. The sanitizer's own library is not linked; these functions take its place.
//
// Why so, and not by an atomic type of ours: the engine's code is the one that users run, each
// operation comes with the memory order that its author wrote, none is forgotten (atomic_ref in the
// journal, say), and plain accesses come as well.
#include <cstdint>
#include <cstring>

#include "schedule.hpp"

namespace {

using forkful::schedules::g_schedule;
using forkful::schedules::is_shared;

bool is_simulated(const volatile void* at) {
  return g_schedule != nullptr && g_schedule->runs() &&
         is_shared(reinterpret_cast<std::uintptr_t>(at));
}
std::uintptr_t number(const volatile void* at) { return reinterpret_cast<std::uintptr_t>(at); }

void access(const void* at, std::size_t bytes, bool writes) {
  if (bytes == 0 || !is_simulated(at)) return;
  g_schedule->memory().plain(g_schedule->current(), number(at), bytes, writes);
}

template <class T>
T load(const volatile T* at, int order, void* caller) {
  if (!is_simulated(at)) return __atomic_load_n(at, __ATOMIC_SEQ_CST);
  g_schedule->point();
  const auto value = static_cast<T>(
      g_schedule->memory().load(g_schedule->current(), number(at), sizeof(T), order));
  g_schedule->note("load", number(at), value, order, caller);
  return value;
}

template <class T>
void store(volatile T* at, T value, int order, void* caller) {
  if (!is_simulated(at)) {
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);
    return;
  }
  g_schedule->point();
  g_schedule->memory().store(g_schedule->current(), number(at), sizeof(T), value, order);
  g_schedule->note("store", number(at), value, order, caller);
}

template <class T, class Change>
T modify(volatile T* at, int order, void* caller, Change&& change) {
  if (!is_simulated(at)) {
    T was = __atomic_load_n(at, __ATOMIC_SEQ_CST);
    while (!__atomic_compare_exchange_n(at, &was, change(was), false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST)) {
    }
    return was;
  }
  g_schedule->point();
  T is{};
  const auto was = static_cast<T>(
      g_schedule->memory().modify(g_schedule->current(), number(at), sizeof(T), order,
                                  [&](std::uint64_t old) { return is = change(T(old)); }));
  g_schedule->note("modify", number(at), is, order, caller);
  return was;
}

template <class T>
int exchange_if(volatile T* at, T* expected, T desired, bool weak, int order, int failure,
                void* caller) {
  if (!is_simulated(at)) {
    return __atomic_compare_exchange_n(at, expected, desired, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_SEQ_CST);
  }
  g_schedule->point();
  std::uint64_t seen = *expected;
  const bool done = g_schedule->memory().exchange_if(g_schedule->current(), number(at), sizeof(T),
                                                     seen, desired, weak, order, failure);
  g_schedule->note(done ? "modify" : "fail", number(at), done ? desired : seen,
                   done ? order : failure, caller);
  *expected = static_cast<T>(seen);
  return done;
}

}  // namespace

#define CALLER __builtin_return_address(0)

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

#define PLAIN(bytes)                                                        \
  void __tsan_read##bytes(void* at) { access(at, bytes, false); }           \
  void __tsan_write##bytes(void* at) { access(at, bytes, true); }           \
  void __tsan_unaligned_read##bytes(void* at) { access(at, bytes, false); } \
  void __tsan_unaligned_write##bytes(void* at) { access(at, bytes, true); }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)
void __tsan_read_range(void* at, std::size_t bytes) { access(at, bytes, false); }
void __tsan_write_range(void* at, std::size_t bytes) { access(at, bytes, true); }

// Last what clang calls for either exchange: that a weak one may fail without a reason is explored
// with gcc alone.
#define ATOMIC(bits, T)                                                                          \
  T __tsan_atomic##bits##_load(const volatile T* at, int order) {                                \
    return load(at, order, CALLER);                                                              \
  }                                                                                              \
  void __tsan_atomic##bits##_store(volatile T* at, T value, int order) {                         \
    store(at, value, order, CALLER);                                                             \
  }                                                                                              \
  T __tsan_atomic##bits##_exchange(volatile T* at, T value, int order) {                         \
    return modify(at, order, CALLER, [&](T) { return value; });                                  \
  }                                                                                              \
  T __tsan_atomic##bits##_fetch_add(volatile T* at, T value, int order) {                        \
    return modify(at, order, CALLER, [&](T was) { return T(was + value); });                     \
  }                                                                                              \
  T __tsan_atomic##bits##_fetch_sub(volatile T* at, T value, int order) {                        \
    return modify(at, order, CALLER, [&](T was) { return T(was - value); });                     \
  }                                                                                              \
  T __tsan_atomic##bits##_fetch_and(volatile T* at, T value, int order) {                        \
    return modify(at, order, CALLER, [&](T was) { return T(was & value); });                     \
  }                                                                                              \
  T __tsan_atomic##bits##_fetch_or(volatile T* at, T value, int order) {                         \
    return modify(at, order, CALLER, [&](T was) { return T(was | value); });                     \
  }                                                                                              \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* at, T* expected, T desired,      \
                                                    int order, int failure) {                    \
    return exchange_if(at, expected, desired, false, order, failure, CALLER);                    \
  }                                                                                              \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* at, T* expected, T desired,        \
                                                  int order, int failure) {                      \
    return exchange_if(at, expected, desired, true, order, failure, CALLER);                     \
  }                                                                                              \
  T __tsan_atomic##bits##_compare_exchange_val(volatile T* at, T expected, T desired, int order, \
                                               int failure) {                                    \
    (void)exchange_if(at, &expected, desired, false, order, failure, CALLER);                    \
    return expected;                                                                             \
  }
ATOMIC(8, std::uint8_t)
ATOMIC(32, std::uint32_t)
ATOMIC(64, std::uint64_t)

void __tsan_atomic_thread_fence(int) {
  if (g_schedule != nullptr && g_schedule->runs()) g_schedule->fail("fences are not simulated");
}

// By the linker's --wrap: the compiler leaves these calls as they are.
void* __real_memcpy(void* to, const void* from, std::size_t bytes);
void* __real_memmove(void* to, const void* from, std::size_t bytes);
void* __real_memset(void* to, int value, std::size_t bytes);

void* __wrap_memcpy(void* to, const void* from, std::size_t bytes) {
  access(from, bytes, false);
  access(to, bytes, true);
  return __real_memcpy(to, from, bytes);
}
void* __wrap_memmove(void* to, const void* from, std::size_t bytes) {
  access(from, bytes, false);
  access(to, bytes, true);
  return __real_memmove(to, from, bytes);
}
void* __wrap_memset(void* to, int value, std::size_t bytes) {
  access(to, bytes, true);
  return __real_memset(to, value, bytes);
}

// What clang calls instead.
void* __tsan_memcpy(void* to, const void* from, std::size_t bytes) {
  return __wrap_memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, std::size_t bytes) {
  return __wrap_memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int value, std::size_t bytes) {
  return __wrap_memset(to, value, bytes);
}

}  // extern "C"
