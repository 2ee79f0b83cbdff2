// CAUSE: after the items
// REMEDY: map(f, items)
#include <forkful/pool.hpp>
#include <utility>
#include <vector>

int add(int x, int y) { return x + y; }

int main() {
  forkful::Pool pool(2);
  auto sums = pool.starmap_async(std::vector<std::pair<int, int>>{{1, 2}}, add);
}
