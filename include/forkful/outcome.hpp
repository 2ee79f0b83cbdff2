// A value, or the exception in its place: what outcomes() of a lazy map gives for each item, so
// that a walk goes on after a failure.
#pragma once

#include <exception>
#include <optional>
#include <utility>

namespace forkful {
inline namespace v0 {

// Threads: one at a time.
template <class R>
class Outcome {
 public:
  explicit Outcome(R value) : value_(std::move(value)) {}
  explicit Outcome(std::exception_ptr error) : error_(std::move(error)) {}

  [[nodiscard]] bool ok() const { return value_.has_value(); }
  // Throws: the exception, when there is one.
  R& value() {
    if (error_) std::rethrow_exception(error_);
    return *value_;
  }
  [[nodiscard]] std::exception_ptr error() const { return error_; }

 private:
  std::optional<R> value_;
  std::exception_ptr error_;
};

}  // namespace v0
}  // namespace forkful
