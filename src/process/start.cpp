#include "process/start.hpp"

#include <cstdio>
#include <cstring>
#include <forkful/bytes/family.hpp>
#include <forkful/errors.hpp>
#include <iostream>
#include <mutex>
#include <utility>

#include "arena/family.hpp"
#include "kernel/child.hpp"
#include "kernel/process_info.hpp"
#include "process/lifelines.hpp"

namespace forkful {
namespace process {
namespace {

void set_name(base::MemberId member, const std::string& name) {
  char (&words)[32] = arena::member(member).name;
  std::memset(words, 0, sizeof words);
  std::memcpy(words, name.data(), name.size() < sizeof words ? name.size() : sizeof words - 1);
}

[[noreturn]] void run_forked(const Plan& plan, Entry entry, Bytes payload,
                             const std::vector<int>& descriptors) {
  int code = 1;
  try {
    bytes::after_start_in_child();
    set_name(sync::self(), plan.name);
    set_carried_descriptors(descriptors);
    code = run_entry(entry, payload, plan.name);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forkful: process %s cannot start: %s\n", plan.name.c_str(), error.what());
  }
  flush_streams();
  arena::leave_family();
  kernel::exit_now(code);
}

// What take_carried_descriptor() hands out; -1: taken. Never destroyed: see lifelines.cpp.
struct CarriedDescriptors {
  std::mutex mutex;
  std::vector<int> list;
};
CarriedDescriptors& carried_descriptors() {
  static auto* one = new CarriedDescriptors;
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
  carried_descriptors().list = std::move(descriptors);
}

int run_entry(Entry entry, Bytes payload, const std::string& name) {
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

Started start_by_fork(const Plan& plan, Entry entry, Bytes payload, const bytes::Carried& carried) {
  flush_streams();  // or the child would print what is buffered here once more
  bytes::before_start({.daemonic = plan.daemonic, .pool_worker = plan.pool_worker});
  int pid = 0;
  try {
    pid = kernel::fork_process();
  } catch (...) {
    bytes::process_ended(bytes::started());
    throw;
  }
  if (pid == 0) run_forked(plan, entry, payload, carried.descriptors);
  return {pid, {bytes::started()}};
}

}  // namespace process

inline namespace v0 {
namespace bytes {

int take_carried_descriptor(std::uint32_t index) {
  auto& carried = process::carried_descriptors();
  const std::lock_guard lock(carried.mutex);
  const int fd = index < carried.list.size() ? std::exchange(carried.list[index], -1) : -1;
  if (fd < 0) throw Error("a descriptor that was passed to this process is not here any more");
  return fd;
}

}  // namespace bytes
}  // namespace v0
}  // namespace forkful
