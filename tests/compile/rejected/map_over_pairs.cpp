// CAUSE: takes the parts of a pair or a tuple
// REMEDY: starmap() in place of map()
#include <forkful/pool.hpp>
#include <utility>
#include <vector>

int add(int x, int y) { return x + y; }

int main() {
  forkful::Pool pool(2);
  (void)pool.map(add, std::vector<std::pair<int, int>>{{1, 2}, {3, 4}});
}
