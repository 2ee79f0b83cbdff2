// All of forkful.
//
// What the headers call a family is a process and all that it starts, and they start: these share
// memory, so a handle (a Queue, a Lock, a Value) of one is good in all of them, and in no other.
#pragma once

#if __cplusplus < 202002L
#error "forkful needs C++20: compile with -std=c++20"
#else

#include <forkful/array.hpp>
#include <forkful/as_completed.hpp>
#include <forkful/barrier.hpp>
#include <forkful/bounded_semaphore.hpp>
#include <forkful/condition.hpp>
#include <forkful/connection.hpp>
#include <forkful/context.hpp>
#include <forkful/cpu_count.hpp>
#include <forkful/current_process.hpp>
#include <forkful/errors.hpp>
#include <forkful/event.hpp>
#include <forkful/fork_map.hpp>
#include <forkful/future.hpp>
#include <forkful/init.hpp>
#include <forkful/joinable_queue.hpp>
#include <forkful/lock.hpp>
#include <forkful/log.hpp>
#include <forkful/pipe.hpp>
#include <forkful/pool.hpp>
#include <forkful/process.hpp>
#include <forkful/process_pool_executor.hpp>
#include <forkful/queue.hpp>
#include <forkful/rlock.hpp>
#include <forkful/semaphore.hpp>
#include <forkful/shared_memory.hpp>
#include <forkful/simple_queue.hpp>
#include <forkful/to_std_future.hpp>
#include <forkful/value.hpp>
#include <forkful/wait_futures.hpp>

#endif
