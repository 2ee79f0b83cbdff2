// What every worker of a pool runs first.
#pragma once

#include <concepts>
#include <cstddef>
#include <forkful/bytes/process.hpp>
#include <forkful/detail/calls/callable.hpp>
#include <forkful/errors.hpp>
#include <tuple>
#include <type_traits>
#include <vector>

namespace forkful {
inline namespace v0 {

namespace detail {
struct PoolPlan;
}

// A callable with its arguments: .initializer = load_model, or
// .initializer = forkful::bind(load_model, path). A worker in which it throws is not used, and the
// first says on stderr what that was; when it goes on, the pool's calls throw WorkerDied.
class Initializer {
 public:
  Initializer() = default;
  template <class F = detail::OverloadSet>
    requires(!std::same_as<std::decay_t<F>, Initializer>)
  Initializer(F&& f) : entry_(detail::run_call<std::decay_t<F>, std::tuple<>>) {
    detail::Writer call;
    call.carry_into(carried_);
    detail::write_call<std::decay_t<F>>(call, f, true);
    if (!carried_.descriptors.empty()) {
      throw Error("an initializer cannot have a Connection: each new worker would need it again");
    }
    payload_.assign(call.view().begin(), call.view().end());
  }

  // For pools: moves it to their plan.
  void put_into(detail::PoolPlan& plan) &&;

 private:
  bytes::RawProcess::Entry entry_ = nullptr;
  std::vector<std::byte> payload_;
  bytes::Carried carried_;
};

}  // namespace v0
}  // namespace forkful
