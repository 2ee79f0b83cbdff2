// Starting a process while the parent has touched 0, 512 MiB or 2 GiB of heap: until the child runs
// its function, and with the join; beside posix_spawn of this very program, which ends in main, and
// beside fork, which copies page tables.

#include <malloc.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstring>
#include <forkful/process.hpp>
#include <forkful/value.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support.hpp"

namespace {

using bench::Clock;

constexpr std::string_view kLeave = "--leave";

// Every page of it written. Small blocks, as programs have them: one huge one could have huge
// pages.
class Heap {
 public:
  explicit Heap(std::size_t mebibytes) {
    constexpr std::size_t kBlock = 64 << 10;
    blocks_.resize(mebibytes * (1 << 20) / kBlock);
    for (auto& block : blocks_) {
      block = std::make_unique_for_overwrite<char[]>(kBlock);
      std::memset(block.get(), 1, kBlock);
    }
  }
  ~Heap() {
    blocks_.clear();
    ::malloc_trim(0);  // the next measurement begins without it
  }
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
};

std::int64_t now_ns() { return Clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

double starts_and_joins(std::uint64_t count) {
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    forkful::Process child([] {});
    child.join();
    if (child.exit_code() != 0) throw std::runtime_error("the child failed");
  }
  return bench::seconds_since(begin);
}

// The clock is the machine's, so the child can say when it began.
double starts(std::uint64_t count) {
  forkful::Value<std::int64_t> begun;
  std::int64_t sum_ns = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::int64_t begin_ns = now_ns();
    forkful::Process child([](forkful::Value<std::int64_t> at) { at.store(now_ns()); }, begun);
    child.join();
    if (child.exit_code() != 0) throw std::runtime_error("the child failed");
    sum_ns += begun.load() - begin_ns;
  }
  return static_cast<double>(sum_ns) * 1e-9;
}

double programs(std::uint64_t count) {
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string name = "spawn_gbench";
    std::string option(kLeave);
    char* const arguments[] = {name.data(), option.data(), nullptr};
    pid_t pid = 0;
    int status = 0;
    if (::posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, arguments, environ) != 0 ||
        ::waitpid(pid, &status, 0) != pid || status != 0) {
      throw std::runtime_error("posix_spawn failed");
    }
  }
  return bench::seconds_since(begin);
}

double forks(std::uint64_t count) {
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) const bench::Child child([] {});
  return bench::seconds_since(begin);
}

template <class Measure>
void add_heaps(const std::string& what, const std::string& who, std::uint64_t count,
               Measure measure) {
  for (const std::size_t mebibytes : {0, 512, 2048}) {
    bench::add(what + ", heap of " + std::to_string(mebibytes) + " MiB/" + who, count,
               [=](std::uint64_t operations) {
                 const Heap touched(mebibytes);
                 return measure(operations);
               });
  }
}

void add_all() {
  add_heaps("Process: start", "forkful", 200, starts);
  add_heaps("Process: start and join", "forkful", 200, starts_and_joins);
  add_heaps("Process: start and join", "posix_spawn", 200, programs);
  add_heaps("Process: start and join", "fork", 40, forks);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && argv[1] == kLeave) return 0;
  return bench::run(argc, argv, add_all);
}
