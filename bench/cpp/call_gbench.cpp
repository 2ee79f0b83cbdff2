// A call's round trip: Pool::apply with one worker on the other CPU, beside the floor: two
// processes that spin and hand one word of shared memory to and fro.

#include <sys/mman.h>

#include <atomic>
#include <forkful/pool.hpp>
#include <new>

#include "support.hpp"
#include "tiny.hpp"

namespace {

using bench::Clock;

double calls(std::uint64_t count) {
  forkful::Pool pool({.processes = 1, .initializer = bench::pin_child});
  const auto call = [&](std::uint64_t i) {
    const int item = static_cast<int>(i);
    if (pool.apply(bench::tiny, item) != item + 1) throw std::runtime_error("wrong result");
  };
  for (std::uint64_t i = 0; i < count / 10; ++i) call(i);
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) call(i);
  return bench::seconds_since(begin);
}

// The words of both directions on lines of their own, as one would write it.
struct Table {
  alignas(64) std::atomic<std::uint64_t> there;
  alignas(64) std::atomic<std::uint64_t> back;
};

class SharedTable {
 public:
  SharedTable()
      : memory_(::mmap(nullptr, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                       -1, 0)) {
    if (memory_ == MAP_FAILED) throw std::runtime_error("no shared memory");
    table_ = new (memory_) Table{};
  }
  ~SharedTable() { ::munmap(memory_, sizeof(Table)); }
  SharedTable(const SharedTable&) = delete;
  SharedTable& operator=(const SharedTable&) = delete;
  Table* operator->() const { return table_; }

 private:
  void* memory_;
  Table* table_ = nullptr;
};

void await(const std::atomic<std::uint64_t>& word, std::uint64_t value) {
  while (word.load(std::memory_order_acquire) != value) {
  }
}

double ping_pong(std::uint64_t count) {
  const SharedTable table;
  const std::uint64_t warm_up = count / 10;
  const bench::Child child([&] {
    for (std::uint64_t i = 1; i <= warm_up + count; ++i) {
      await(table->there, i);
      table->back.store(i, std::memory_order_release);
    }
  });
  auto begin = Clock::now();
  for (std::uint64_t i = 1; i <= warm_up + count; ++i) {
    if (i == warm_up + 1) begin = Clock::now();
    table->there.store(i, std::memory_order_release);
    await(table->back, i);
  }
  return bench::seconds_since(begin);
}

void add_all() {
  bench::add("Pool::apply: round trip/forkful", 300'000, calls);
  bench::add("Pool::apply: round trip/spinning ping-pong", 2'000'000, ping_pong);
}

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, add_all); }
