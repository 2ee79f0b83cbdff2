// Callables that take a std::stop_token first: the request comes from another process, as an Event
// that Process::request_stop() sets. Used by Process alone, on both its sides.
#pragma once

#include <forkful/detail/calls/callable.hpp>
#include <forkful/event.hpp>
#include <functional>
#include <stop_token>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>

namespace forkful {
inline namespace v0 {
namespace detail {

// What can be called without the token is called without it.
template <class F, class... A>
inline constexpr bool is_stoppable = std::is_invocable_v<F&, std::stop_token, passed_t<A>...> &&
                                     !std::is_invocable_v<F&, passed_t<A>...>;

// Turns the event into a stop request, by a thread that lives as long as the call. Members are in
// this order so that the thread is joined before what it uses goes.
class StopRelay {
 public:
  explicit StopRelay(const Event& event) : event_(event), thread_([this] { relay(); }) {}
  ~StopRelay() {
    ended_.request_stop();
    event_.set();  // or the thread would notice only at its next look
  }
  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  void relay() {
    if (event_.wait(ended_.get_token()) && !ended_.stop_requested()) source_.request_stop();
  }

  const Event event_;
  std::stop_source ended_;
  std::stop_source source_;
  std::jthread thread_;
};

// In the other process: reads what write_stoppable_call() wrote, and calls.
template <class F, class Args>
void run_stoppable_call(Bytes payload) {
  if constexpr (require_shippable<F>()) {
    Reader from(payload);
    const StopRelay stop(read_value<Event>(from));
    F function = read_callable<F>(from);
    Args arguments = read_value<Args>(from);
    std::apply(
        [&]<class... A>(A&... each) {
          std::invoke(function, stop.token(), static_cast<passed_t<A>>(each)...);
        },
        arguments);
  }
}

template <class F, class... A>
void write_stoppable_call(Writer& to, const Event& stop, const F& function, bool check,
                          const A&... arguments) {
  if constexpr (require_shippable<F>()) {
    write_value(to, stop);
    write_callable(to, function, check);
    (write_argument<encoded_t<A>>(to, arguments), ...);
  }
}

}  // namespace detail
}  // namespace v0
}  // namespace forkful
