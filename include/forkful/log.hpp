// One log for a family of processes.
//
//   forkful::log_to_stderr(forkful::LogLevel::info);
//   forkful::get_logger().info("working on 7");      // [INFO/SpawnPoolWorker-1] working on 7
#pragma once

#include <cstdint>
#include <string_view>

namespace forkful {
inline namespace v0 {

enum class LogLevel : std::uint32_t { debug = 10, info = 20, warning = 30, error = 40, off = 100 };

// Writes a line for each message of at least that level, of forkful's own as well: in this process
// and in every other one of its family, started already or later. Throws: OsError.
void log_to_stderr(LogLevel level = LogLevel::info);
// Likewise, to the descriptor of that number in each process, such as 1.
void log_to(int descriptor, LogLevel level);

// Each message is one write(), so lines of several processes do not mix. A message that cannot be
// written is dropped.
// Threads: any.
class Logger {
 public:
  [[nodiscard]] bool enabled(LogLevel level) const;
  void log(LogLevel level, std::string_view message) const;
  void debug(std::string_view message) const { log(LogLevel::debug, message); }
  void info(std::string_view message) const { log(LogLevel::info, message); }
  void warning(std::string_view message) const { log(LogLevel::warning, message); }
  void error(std::string_view message) const { log(LogLevel::error, message); }
};

[[nodiscard]] inline Logger get_logger() { return {}; }

}  // namespace v0
}  // namespace forkful
