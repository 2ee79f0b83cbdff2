// Starting by fork, and what runs in a child whichever way it was started: its function, and what
// is said of an exception.
//
// The forking thread is the only one in the child. A starter that is killed after the fork leaves a
// child that goes by the orphan rule.
#include "process/start.hpp"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <forkful/bytes/family.hpp>
#include <forkful/detail/calls/exception.hpp>
#include <forkful/errors.hpp>
#include <forkful/log.hpp>
#include <iostream>
#include <utility>

#include "arena/at_fork.hpp"
#include "arena/membership.hpp"
#include "kernel/child.hpp"
#include "kernel/fault.hpp"
#include "kernel/process_info.hpp"
#include "process/lifelines.hpp"

namespace forkful {
namespace process {
namespace {

[[noreturn]] void run_forked(const Plan& plan, Entry entry, Bytes payload,
                             const std::vector<int>& descriptors) {
  int code = 1;
  try {
    bytes::after_start_in_child();
    FORKFUL_FAULT("start.accepted");
    set_carried_descriptors(descriptors);
    kernel::at_exit_with_code(arena::leave_family);
    code = run_entry(entry, payload, plan.name);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forkful: process %s cannot start: %s\n", plan.name.c_str(), error.what());
  }
  // exit() is not called here: its handlers and the static objects are the parent's.
  flush_streams();
  arena::leave_family(code);
  kernel::exit_now(code);
}

// Says on stderr, in one piece, what ended this process.
void report(const std::string& name, const std::exception_ptr& error) {
  std::string text = "forkful: process " + (name.empty() ? std::string("(unnamed)") : name) +
                     ", pid " + std::to_string(kernel::current_pid()) + ", ended by an exception";
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& known) {
    const RemoteInfo* info = remote_info(known);
    text += ": " + std::string(known.what()) + "\n" + (info != nullptr ? info->stack() : "");
  }
  std::fputs(text.c_str(), stderr);
}

// What take_carried_descriptor() hands out; -1: taken. Never destroyed: see lifelines.cpp.
// Written before the process's function runs, and after that by exchanges alone: a mutex might be
// held, at a fork, by a thread that the child does not have.
std::vector<int>& carried_descriptors() {
  static auto* one = new std::vector<int>;
  return *one;
}

}  // namespace

void flush_streams() {
  std::cout.flush();
  std::cerr.flush();
  std::clog.flush();
  std::fflush(nullptr);
}

void set_carried_descriptors(std::vector<int> descriptors) {
  carried_descriptors() = std::move(descriptors);
}

int run_entry(Entry entry, Bytes payload, const std::string& name) {
  try {
    get_logger().info("the process runs its function");
    detail::noting_throw([&] { entry(payload); });
    get_logger().info("the process ends with exit code 0");
    return 0;
  } catch (const FailedInSilence&) {
    get_logger().info("the process ends with exit code 1");
  } catch (...) {
    // Through the codec, as if it had come from another process: so the report has the stack that
    // was noted where it was thrown.
    detail::Writer flat;
    detail::write_current_exception(flat);
    detail::Reader from(flat.view());
    report(name, detail::read_exception(from));
  }
  return 1;
}

Started start_by_fork(const Plan& plan, Entry entry, Bytes payload, const bytes::Carried& carried) {
  flush_streams();  // or the child would print what is buffered here once more
  bytes::before_start(
      {.daemonic = plan.daemonic, .pool_worker = plan.pool_worker, .name = plan.name});
  int pid = 0;
  try {
    pid = kernel::fork_process();
  } catch (...) {
    bytes::process_ended(bytes::started());
    throw;
  }
  if (pid == 0) run_forked(plan, entry, payload, carried.descriptors);
  return {pid, base::MemberId{bytes::started()}};
}

}  // namespace process

inline namespace v0 {
namespace bytes {

int take_carried_descriptor(std::uint32_t index) {
  auto& carried = process::carried_descriptors();
  const int fd = index < carried.size() ? std::atomic_ref(carried[index]).exchange(-1) : -1;
  if (fd < 0) throw Error("a descriptor that was passed to this process is not here any more");
  return fd;
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
