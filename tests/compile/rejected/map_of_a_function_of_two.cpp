// CAUSE: takes more arguments than it is given
// REMEDY: starmap()
#include <forkful/pool.hpp>
#include <vector>

int main() {
  forkful::Pool pool(2);
  (void)pool.map(forkful::bind([](int x, int y, int z) { return x + y + z; }, 1),
                 std::vector{1, 2, 3});
}
