// Runs schedules of a protocol:
//
//   run_schedules list
//   run_schedules NAME|all [--seeds N] [--seed FIRST] [--jobs N] [--loud]
//
// Seeds run in batches, each in a process of its own with a family of its own, so what a seed does
// depends only on those of its batch before it; one seed alone runs these first.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "protocols.hpp"

namespace forkful::schedules {
namespace {

constexpr std::uint64_t kBatch = 256;

std::vector<Protocol>& table() {
  static std::vector<Protocol> table;
  return table;
}

struct Options {
  std::string name;
  std::uint64_t seeds = 1000;
  std::uint64_t first = 0;
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
  bool loud = false;
};

// A broken invariant of the engine's is a find like others.
void on_crash(int signal) {
  if (g_schedule != nullptr) g_schedule->fail("signal " + std::to_string(signal));
}

[[noreturn]] void run_batch(const Protocol& protocol, const Options& options, std::uint64_t from,
                            std::uint64_t to) {
  std::signal(SIGABRT, on_crash);
  std::signal(SIGSEGV, on_crash);
  if (protocol.begin != nullptr) protocol.begin();
  for (std::uint64_t seed = from / kBatch * kBatch; seed < to; ++seed) {
    Schedule schedule(seed, options.loud && seed + 1 == to);
    protocol.run(schedule);
  }
  std::fflush(stdout);
  _exit(0);
}

bool run(const Protocol& protocol, const Options& options) {
  const auto begin = std::chrono::steady_clock::now();
  const std::uint64_t end = options.first + options.seeds;
  std::uint64_t next = options.first;
  unsigned running = 0;
  bool well = true;
  std::fflush(stdout);
  while (running > 0 || (well && next < end)) {
    if (well && next < end && running < options.jobs) {
      const std::uint64_t to = std::min(end, (next / kBatch + 1) * kBatch);
      if (fork() == 0) run_batch(protocol, options, next, to);
      next = to;
      ++running;
      continue;
    }
    int status = 0;
    if (wait(&status) < 0) break;
    --running;
    if (status == 0) continue;
    well = false;
    if (WIFSIGNALED(status)) {
      std::printf("schedules: FOUND: killed by signal %d, before seed %llu\n", WTERMSIG(status),
                  static_cast<unsigned long long>(next));
    }
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("schedules: %-11s %9llu seeds from %llu, %6.1f s: %s\n", protocol.name,
              static_cast<unsigned long long>(next - options.first),
              static_cast<unsigned long long>(options.first), seconds,
              well ? "none found" : "FOUND one");
  std::fflush(stdout);
  return well;
}

int main_of(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 0) : 0; };
    if (word == "--seeds") {
      options.seeds = number();
    } else if (word == "--seed") {
      options.first = number();
    } else if (word == "--jobs") {
      options.jobs = static_cast<unsigned>(number());
    } else if (word == "--loud") {
      options.loud = true;
    } else {
      options.name = word;
    }
  }
  bool well = true;
  bool any = false;
  for (const Protocol& protocol : table()) {
    if (options.name == "list") std::printf("%s\n", protocol.name);
    if (options.name != "all" && options.name != protocol.name) continue;
    any = true;
    well = run(protocol, options) && well;
  }
  if (!any && options.name != "list") {
    std::fprintf(stderr, "schedules: there is no \"%s\"; see `run_schedules list`\n",
                 options.name.c_str());
    return 2;
  }
  return well ? 0 : 1;
}

}  // namespace

std::span<const Protocol> protocols() { return table(); }
Entered::Entered(const Protocol& protocol) { table().push_back(protocol); }

}  // namespace forkful::schedules

int main(int argc, char** argv) { return forkful::schedules::main_of(argc, argv); }
