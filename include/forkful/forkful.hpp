// All of forkful.
#pragma once

#include <forkful/as_completed.hpp>
#include <forkful/context.hpp>
#include <forkful/cpu_count.hpp>
#include <forkful/errors.hpp>
#include <forkful/event.hpp>
#include <forkful/fork_map.hpp>
#include <forkful/future.hpp>
#include <forkful/init.hpp>
#include <forkful/lock.hpp>
#include <forkful/pool.hpp>
#include <forkful/process.hpp>
#include <forkful/process_pool_executor.hpp>
#include <forkful/queue.hpp>
#include <forkful/rlock.hpp>
#include <forkful/semaphore.hpp>
#include <forkful/to_std_future.hpp>
#include <forkful/value.hpp>
#include <forkful/wait_futures.hpp>
