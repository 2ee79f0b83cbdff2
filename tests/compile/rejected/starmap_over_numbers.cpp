// CAUSE: takes items that are tuples or pairs
// REMEDY: map()
#include <forkful/pool.hpp>
#include <vector>

int twice(int x) { return 2 * x; }

int main() {
  forkful::Pool pool(2);
  (void)pool.starmap(twice, std::vector{1, 2, 3});
}
