#include <signal.h>

#include <atomic>
#include <forkful/bytes/family.hpp>
#include <forkful/bytes/process.hpp>
#include <forkful/errors.hpp>
#include <utility>

#include "arena/family.hpp"
#include "kernel/child.hpp"
#include "kernel/process_info.hpp"
#include "process/start.hpp"
#include "sync/pace.hpp"

namespace forkful {
inline namespace v0 {
namespace bytes {

namespace {

// As Python names them: Process-2, and its first child Process-2:1.
std::string next_name() {
  static std::atomic<int> last{0};
  static std::atomic<int> counted_in{0};  // a fork counts its own
  const int pid = kernel::current_pid();
  if (counted_in.exchange(pid) != pid) last.store(0);
  const std::string mine = arena::has_family() ? this_member().name : "";
  const std::string number = std::to_string(last.fetch_add(1) + 1);
  const std::size_t dash = mine.rfind('-');
  const bool nested = dash != std::string::npos &&
                      mine.find_first_not_of("0123456789:", dash + 1) == std::string::npos;
  return "Process-" + (nested ? mine.substr(dash + 1) + ":" : "") + number;
}

}  // namespace

RawProcess RawProcess::start(const Plan& wanted, Entry entry, Bytes payload,
                             const Carried& carried) {
  Plan plan = wanted;
  if (plan.name.empty()) plan.name = next_name();
  const auto start = [&] {
    switch (plan.context) {
      case Context::fork:  // has a share in all that its parent holds
        return process::start_by_fork(plan, entry, payload, carried);
      case Context::forkserver:
        return process::start_by_server(plan, entry, payload, carried);
      default:
        return process::start_by_execution(plan, entry, payload, carried);
    }
  };
  const process::Started child = start();
  return {child.pid, child.member.bits, std::move(plan.name)};
}

RawProcess::RawProcess(int pid, std::uint32_t member, std::string name)
    : pid_(pid), starter_(kernel::current_pid()), member_(member), name_(std::move(name)) {
  // Known from now on, not only when the child has got so far.
  std::int32_t unknown = 0;
  arena::member({member}).pid.compare_exchange_strong(unknown, pid);
  try {
    pidfd_ = kernel::open_pidfd(pid).release();
  } catch (const OsError&) {
    // Without a descriptor left for it the child could be neither waited for nor ended.
    ::kill(pid, SIGKILL);
    (void)kernel::await_child(pid);
    arena::process_ended({member});
    throw;
  }
}

RawProcess& RawProcess::operator=(RawProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(pidfd_, other.pidfd_);
  std::swap(starter_, other.starter_);
  std::swap(member_, other.member_);
  std::swap(exit_code_, other.exit_code_);
  std::swap(name_, other.name_);
  return *this;
}

RawProcess::~RawProcess() { kernel::Fd closed(pidfd_); }

bool RawProcess::is_ours() const { return pid_ != 0 && starter_ == kernel::current_pid(); }

void RawProcess::require_ours() const {
  if (!is_ours()) throw Error("only the process that started a process can wait for it or end it");
}

std::optional<int> RawProcess::ended() {
  if (exit_code_) return exit_code_;
  require_ours();
  const auto exit = kernel::reap_child(pid_);
  if (!exit) return std::nullopt;
  constexpr int kUnknown = 255;
  const bool left = arena::end_of({member_}) == sync::End::left;
  exit_code_ = exit->known ? exit->code : left ? 0 : kUnknown;
  return exit_code_;
}

void RawProcess::give_back() { arena::process_ended({std::exchange(member_, 0)}); }

std::optional<int> RawProcess::poll() {
  const auto code = ended();
  if (code) give_back();
  return code;
}

bool RawProcess::join(Wait& wait) {
  if (!await_end(wait)) return false;
  give_back();
  return true;
}

bool RawProcess::await_end(Wait& wait) {
  sync::Blocking blocking(wait);
  sync::Slices slices(wait);
  while (!ended()) {
    if (slices.expired()) return false;
    blocking.begin();
    if (slices.sleep([&](std::int64_t until) { return kernel::wait_for_end(pidfd_, until); })) {
      continue;
    }
    if (wait.interrupted(true)) return false;
  }
  return true;
}

void RawProcess::send_signal(int signal) {
  if (exit_code_) return;
  require_ours();
  (void)kernel::send_signal(pidfd_, signal);
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
