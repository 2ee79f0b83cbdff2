// All of forkful.
#pragma once

#include <forkful/context.hpp>
#include <forkful/cpu_count.hpp>
#include <forkful/current_process.hpp>
#include <forkful/errors.hpp>
#include <forkful/event.hpp>
#include <forkful/future.hpp>
#include <forkful/init.hpp>
#include <forkful/lock.hpp>
#include <forkful/log.hpp>
#include <forkful/pool.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <forkful/rlock.hpp>
#include <forkful/semaphore.hpp>
#include <forkful/value.hpp>
