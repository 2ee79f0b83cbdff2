#include "process/start.hpp"

#include <cstdio>
#include <cstring>
#include <forkful/bytes/family.hpp>
#include <iostream>

#include "arena/family.hpp"
#include "kernel/child.hpp"
#include "kernel/process_info.hpp"
#include "process/lifelines.hpp"

namespace forkful::process {
namespace {

void flush_streams() {
  std::cout.flush();
  std::cerr.flush();
  std::clog.flush();
  std::fflush(nullptr);
}

void set_name(base::MemberId member, const std::string& name) {
  char (&words)[32] = arena::member(member).name;
  std::memset(words, 0, sizeof words);
  std::memcpy(words, name.data(), name.size() < sizeof words ? name.size() : sizeof words - 1);
}

[[noreturn]] void run_forked(const bytes::RawProcess::Plan& plan, bytes::RawProcess::Entry entry,
                             bytes::Bytes payload) {
  int code = 1;
  try {
    bytes::after_start_in_child();
    set_name(sync::self(), plan.name);
    code = run_entry(entry, payload, plan.name);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forkful: process %s cannot start: %s\n", plan.name.c_str(), error.what());
  }
  flush_streams();
  arena::leave_family();
  kernel::exit_now(code);
}

}  // namespace

int run_entry(bytes::RawProcess::Entry entry, bytes::Bytes payload, const std::string& name) {
  const char* label = name.empty() ? "(unnamed)" : name.c_str();
  const int pid = kernel::current_pid();
  try {
    entry(payload);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forkful: process %s, pid %d, ended by an exception: %s\n", label, pid,
                 error.what());
  } catch (...) {
    std::fprintf(stderr, "forkful: process %s, pid %d, ended by an exception of no std type\n",
                 label, pid);
  }
  return 1;
}

Started start_by_fork(const bytes::RawProcess::Plan& plan, bytes::RawProcess::Entry entry,
                      bytes::Bytes payload) {
  flush_streams();  // or the child would print what is buffered here once more
  bytes::before_start({.daemonic = plan.daemonic, .pool_worker = plan.pool_worker});
  int pid = 0;
  try {
    pid = kernel::fork_process();
  } catch (...) {
    bytes::process_ended(bytes::started());
    throw;
  }
  if (pid == 0) run_forked(plan, entry, payload);
  return {pid, {bytes::started()}};
}

}  // namespace forkful::process
