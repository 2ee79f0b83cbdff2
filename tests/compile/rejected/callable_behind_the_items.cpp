// CAUSE: after the items
// REMEDY: map(f, items)
#include <forkful/pool.hpp>

int twice(int x) { return 2 * x; }

int main() {
  forkful::Pool pool(2);
  const int numbers[] = {1, 2, 3};
  (void)pool.map(numbers, twice);
}
