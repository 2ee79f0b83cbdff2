// One value that comes some time, or an exception in its place: of a call in a worker (CallJob) or
// of a callback here (LocalJob). Written by whoever has the baton, or by the callbacks' thread;
// read once the job is done.
#pragma once

#include <cstdint>
#include <exception>
#include <forkful/detail/codec/codec.hpp>
#include <forkful/detail/executor/job.hpp>
#include <forkful/errors.hpp>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace detail {

// In place of a void, which can be no member.
struct Nothing {};

// What a Future hands out.
template <class T>
class FutureJob : public Job {
 public:
  // Requires: it is done. Throws: the exception, when there is one.
  virtual T take() = 0;
};

template <class T>
class ValueJob : public FutureJob<T> {
 public:
  T take() override {
    if (error_) std::rethrow_exception(error_);
    if constexpr (!std::is_void_v<T>) {
      if (!value_) throw Error("this call has no result");
      return std::move(*value_);
    }
  }
  [[nodiscard]] bool failed() const noexcept override { return error_ != nullptr; }

 protected:
  using Value = std::conditional_t<std::is_void_v<T>, Nothing, T>;
  void set_error(std::uint32_t, std::exception_ptr error) noexcept override {
    error_ = std::move(error);
  }

  std::optional<Value> value_;
  std::exception_ptr error_;
};

// The result of one call in a worker.
template <class T>
class CallJob final : public ValueJob<T> {
 public:
  CallJob() noexcept {}  // a defaulted one would have make_shared() clear the whole job first

 private:
  void set_value(std::uint32_t, Bytes bytes) noexcept override {
    try {
      if constexpr (!std::is_void_v<T>) {
        Reader from(bytes);
        this->value_.emplace(read_value<T>(from));
      }
    } catch (...) {
      this->error_ = std::current_exception();
    }
  }
};

// The result of a callback in this process.
template <class T>
class LocalJob final : public ValueJob<T> {
 public:
  // Makes what `call()` returns or throws the result.
  template <class Call>
  void set_by(Call&& call) noexcept {
    try {
      if constexpr (std::is_void_v<T>) {
        call();
      } else {
        this->value_.emplace(call());
      }
    } catch (...) {
      this->error_ = std::current_exception();
    }
  }

 private:
  void set_value(std::uint32_t, Bytes) noexcept override {}
};

}  // namespace detail
}  // namespace v0
}  // namespace forkful
