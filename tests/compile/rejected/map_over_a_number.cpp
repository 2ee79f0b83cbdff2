// CAUSE: are no range
// REMEDY: apply(f, x)
#include <forkful/pool.hpp>

int main() {
  forkful::Pool pool(2);
  (void)pool.map([](int x) { return 2 * x; }, 3);
}
