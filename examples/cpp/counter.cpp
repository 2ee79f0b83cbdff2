// Two processes count in shared memory, with and without the lock held for longer.

#include <forkful/init.hpp>
#include <forkful/lock.hpp>
#include <forkful/process.hpp>
#include <forkful/value.hpp>
#include <iostream>
#include <mutex>

struct Tally {
  long sum;
  long count;
};

void add(forkful::Value<Tally>& tally, int times) {
  for (int i = 1; i <= times; ++i) {
    const auto guard = tally.lock();  // holds the value's own lock to the end of the block
    guard->sum += i;
    guard->count += 1;
  }
}

void report(forkful::Lock& terminal, int who) {
  const std::lock_guard guard(terminal);
  std::cout << "counter " << who << " is done" << std::endl;
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::Value<Tally> tally;
  forkful::Lock terminal;
  {
    const auto count = [](forkful::Value<Tally>& to, forkful::Lock& lock, int who) {
      add(to, 10'000);
      report(lock, who);
    };
    forkful::Process a(count, tally, terminal, 1);
    forkful::Process b(count, tally, terminal, 2);
  }
  std::cout << tally.load().count << " additions, sum " << tally.load().sum << '\n';
  return tally.load().count == 20'000 ? 0 : 1;
}
