// A process that calls a function of this program.
//
//   forkful::Queue<std::string> answers;
//   forkful::Process child(greet, "world", answers);   // runs greet("world", answers)
//   std::cout << answers.get();
//   child.join();
#pragma once

#include <signal.h>

#include <chrono>
#include <concepts>
#include <forkful/bytes/process.hpp>
#include <forkful/context.hpp>
#include <forkful/detail/calls/callable.hpp>
#include <forkful/detail/calls/start_only.hpp>
#include <forkful/detail/calls/stoppable.hpp>
#include <forkful/detail/waits/until.hpp>
#include <forkful/event.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace forkful {
inline namespace v0 {

struct ProcessOptions {
  std::string name = {};  // up to 31 bytes; else "Process-1" and so on
  // A daemon ends with its parent, however the parent ends. Any other child outlives it, unless
  // the family's first process, or the one that the program forked itself, is killed by a signal.
  bool daemon = false;
  Context context = Context::spawn;
  // Lets a lambda capture numbers that look like addresses; see BadCapture.
  bool allow_addresses = false;
};

// Starts at once: there is no process that has not been started.
//
// Threads:   one at a time.
// Ownership: movable, not copyable. The destructor requests a stop, ends a daemon (it is asked, and
//            killed two seconds later), and waits for the child, as long as it takes: a function
//            that takes no stop_token does not hear of the stop.
// Death:     exit_code() is minus the signal's number.
// Fork:      an inherited Process is inert: its destructor does nothing.
class Process {
 public:
  // Calls f(args...) in a new process, or f(std::stop_token, args...) if it takes that. What f
  // returns is dropped; an exception is printed there and makes exit code 1. The arguments are
  // encoded before this returns. A Connection among them is passed by std::move: it is the child's
  // then, and still the caller's if this throws. Throws: NotInitialized, BadCapture, OsError.
  template <class F = detail::OverloadSet, class... A>
    requires(!std::same_as<std::decay_t<F>, ProcessOptions> &&
             !std::same_as<std::decay_t<F>, Process>)
  explicit Process(F&& f, A&&... args)
      : Process(ProcessOptions{}, std::forward<F>(f), std::forward<A>(args)...) {}
  template <class F = detail::OverloadSet, class... A>
  Process(const ProcessOptions& options, F&& f, A&&... args) : daemon_(options.daemon) {
    launch<std::decay_t<F>>(options, f, detail::Given<A>(args)...);
  }

  Process(Process&&) noexcept = default;
  Process& operator=(Process&& other) noexcept {
    finish();
    process_ = std::move(other.process_);
    stop_ = std::exchange(other.stop_, std::nullopt);
    daemon_ = other.daemon_;
    return *this;
  }
  ~Process() { finish(); }

  void join() {
    Wait forever;
    (void)process_.join(forever);
  }
  // False when it still runs after `duration`, at the time `when`, or when the stop is requested.
  [[nodiscard]] bool join_for(Duration duration) {
    Wait wait(Deadline::in(duration));
    return process_.join(wait);
  }
  template <class Clock, class Unit>
  [[nodiscard]] bool join_until(const std::chrono::time_point<Clock, Unit>& when) {
    return detail::attempt_until(when, [&](Wait& wait) { return process_.join(wait); });
  }
  [[nodiscard]] bool join(std::stop_token token) {
    StopWait wait(std::move(token));
    return process_.join(wait);
  }
  [[nodiscard]] bool is_alive() { return !process_.poll(); }
  // Stops the token of a callable that takes a std::stop_token as its first parameter.
  void request_stop() {
    if (stop_) stop_->set();
  }
  // Asks it to end (SIGTERM, and SIGCONT in case it is stopped); kill() does not ask (SIGKILL).
  // Both are no-ops once it has ended.
  void terminate() { process_.terminate(); }
  void kill() { process_.send_signal(SIGKILL); }

  [[nodiscard]] const std::string& name() const { return process_.name(); }
  [[nodiscard]] bool daemon() const { return daemon_; }
  [[nodiscard]] int pid() const { return process_.pid(); }
  // nullopt while it runs; minus the signal's number when one killed it.
  [[nodiscard]] std::optional<int> exit_code() { return process_.poll(); }

 private:
  template <class Function, class... A>
  void launch(const ProcessOptions& options, const Function& f, detail::Given<A>&&... given) {
    using Args = std::tuple<detail::encoded_t<std::remove_cvref_t<A>>...>;
    const bool check = options.context != Context::fork && !options.allow_addresses;
    detail::Writer call;
    bytes::Carried carried;
    call.carry_into(carried);
    if constexpr (detail::is_stoppable<Function, detail::encoded_t<std::remove_cvref_t<A>>...>) {
      stop_.emplace();
      detail::write_stoppable_call<Function, std::remove_cvref_t<A>...>(call, *stop_, f, check,
                                                                        given.value()...);
      start(options, detail::run_stoppable_call<Function, Args>, call.view(), carried);
    } else {
      detail::write_call<Function, std::remove_cvref_t<A>...>(call, f, check, given.value()...);
      start(options, detail::run_call<Function, Args>, call.view(), carried);
    }
    (given.keep_away(), ...);
  }
  void start(const ProcessOptions& options, bytes::RawProcess::Entry entry, bytes::Bytes call,
             const bytes::Carried& carried) {
    process_ = bytes::RawProcess::start(
        {.daemonic = options.daemon, .context = options.context, .name = options.name}, entry, call,
        carried);
  }
  void finish() noexcept {
    if (!process_.is_ours()) return;
    request_stop();
    if (daemon_) {
      process_.end(bytes::RawProcess::kGrace);
    } else {
      join();
    }
    process_ = {};
  }

  bytes::RawProcess process_;
  std::optional<Event> stop_;
  bool daemon_ = false;
};

}  // namespace v0
}  // namespace forkful
