// The family's log: one level and one descriptor in the arena's header, which any member may set.
#include <forkful/bytes/family.hpp>
#include <forkful/log.hpp>
#include <string>

#include "arena/membership.hpp"
#include "kernel/fd.hpp"

namespace forkful {
inline namespace v0 {
namespace {

const char* name_of(LogLevel level) {
  if (level >= LogLevel::error) return "ERROR";
  if (level >= LogLevel::warning) return "WARNING";
  return level >= LogLevel::info ? "INFO" : "DEBUG";
}

}  // namespace

void log_to(int descriptor, LogLevel level) {
  arena::join_family();
  arena::header().log_fd.store(descriptor, std::memory_order_relaxed);
  // Release: pairs with the acquire in enabled(), so whoever sees the level has the descriptor that
  // goes with it.
  arena::header().log_level.store(static_cast<std::uint32_t>(level), std::memory_order_release);
}

void log_to_stderr(LogLevel level) { log_to(2, level); }

bool Logger::enabled(LogLevel level) const {
  if (!arena::has_family()) return false;
  // 0: nobody has asked for a log.
  // Acquire: pairs with the release in log_to().
  const std::uint32_t least = arena::header().log_level.load(std::memory_order_acquire);
  return least != 0 && static_cast<std::uint32_t>(level) >= least;
}

void Logger::log(LogLevel level, std::string_view message) const {
  if (!enabled(level)) return;
  // Put together first and written at once, so that lines of several processes do not mix.
  std::string line = "[";
  line += name_of(level);
  line += '/';
  line += bytes::this_member().name;
  line += "] ";
  line += message;
  line += '\n';
  kernel::write_once(arena::header().log_fd.load(std::memory_order_relaxed), line);
}

}  // namespace v0
}  // namespace forkful
