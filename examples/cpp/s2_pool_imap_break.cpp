// Leaves a lazy map as soon as it has what it wants: few of the million items are ever sent.

#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <ranges>

long process_item(long item) { return item * item; }

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::Pool pool;
  long result = 0;
  for (const long each : pool.imap(process_item, std::views::iota(0L, 1'000'000L))) {
    result = each;
    if (result > 1000) break;
  }
  std::cout << result << '\n';
}
