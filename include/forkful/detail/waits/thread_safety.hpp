// What a lock guards, in words for clang's analysis of thread safety: which members it guards and
// which functions need it. `-Wthread-safety` finds the uses without it; gcc is told nothing.
// (Unstable; the engine's and the bindings' own.)
#pragma once

#ifdef __clang__
#define FORKFUL_THREAD_SAFETY(attribute) __attribute__((attribute))
#else
#define FORKFUL_THREAD_SAFETY(attribute)
#endif

#define FORKFUL_CAPABILITY(name) FORKFUL_THREAD_SAFETY(capability(name))
#define FORKFUL_SCOPED_CAPABILITY FORKFUL_THREAD_SAFETY(scoped_lockable)
#define FORKFUL_GUARDED_BY(mutex) FORKFUL_THREAD_SAFETY(guarded_by(mutex))
#define FORKFUL_REQUIRES(...) FORKFUL_THREAD_SAFETY(requires_capability(__VA_ARGS__))
#define FORKFUL_EXCLUDES(...) FORKFUL_THREAD_SAFETY(locks_excluded(__VA_ARGS__))
#define FORKFUL_ACQUIRE(...) FORKFUL_THREAD_SAFETY(acquire_capability(__VA_ARGS__))
#define FORKFUL_TRY_ACQUIRE(...) FORKFUL_THREAD_SAFETY(try_acquire_capability(__VA_ARGS__))
#define FORKFUL_RELEASE(...) FORKFUL_THREAD_SAFETY(release_capability(__VA_ARGS__))
#define FORKFUL_ASSERT(...) FORKFUL_THREAD_SAFETY(assert_capability(__VA_ARGS__))
// Its line says why the analysis cannot follow.
#define FORKFUL_NO_THREAD_SAFETY_ANALYSIS FORKFUL_THREAD_SAFETY(no_thread_safety_analysis)
