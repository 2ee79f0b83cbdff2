// A pool task's payload, as Python's client writes it and Python's worker reads it:
//
//   {bytes of the function:4, form:4} {pickled function} {items}
#pragma once

#include <cstring>
#include <forkful/bytes/task_pool.hpp>
#include <forkful/errors.hpp>

namespace forkful::python {

enum class TaskMode : std::uint32_t {
  map,         // function(item)
  star,        // function(*item)
  call,        // function(*item), item a tuple
  call_named,  // function(*item[0], **item[1])
};

// The status of a result.
inline constexpr std::uint32_t kValue = 0;
inline constexpr std::uint32_t kError = 1;
// The very object that the item before has as its result, which has not changed since; no bytes.
inline constexpr std::uint32_t kSameValue = 2;
// As kError, of a task whose function or items could not be read; only where an executor asks.
inline constexpr std::uint32_t kUnread = 3;
// The job was cancelled before a worker began it; no bytes.
inline constexpr std::uint32_t kCancelled = 4;

struct TaskForm {
  std::uint32_t function_bytes;
  std::uint32_t form;  // mode, and kList where the items are one pickled list
};
inline constexpr std::uint32_t kList = 1u << 8;

class TaskReader {
 public:
  // Throws: Error where the payload is shorter than it says.
  TaskReader(const bytes::TaskHead&, bytes::Bytes payload) : rest_(payload) {
    if (rest_.size() < sizeof form_) damaged();
    std::memcpy(&form_, rest_.data(), sizeof form_);
    rest_ = rest_.subspan(sizeof form_);
    if (rest_.size() < form_.function_bytes) damaged();
  }
  [[nodiscard]] TaskMode mode() const { return static_cast<TaskMode>(form_.form & 0xff); }
  [[nodiscard]] bool is_list() const { return (form_.form & kList) != 0; }
  [[nodiscard]] bytes::Bytes function() const { return rest_.first(form_.function_bytes); }
  [[nodiscard]] bytes::Bytes items() const { return rest_.subspan(form_.function_bytes); }

 private:
  [[noreturn]] static void damaged() { throw Error("a pool's task is damaged"); }
  TaskForm form_{};
  bytes::Bytes rest_;
};

}  // namespace forkful::python
