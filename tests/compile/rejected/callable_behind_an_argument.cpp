// CAUSE: is given after an argument of it
// REMEDY: pool.apply(f, x)
#include <forkful/pool.hpp>

int main() {
  forkful::Pool pool(2);
  return pool.apply(1, 2, [](auto x, auto y) { return x + y; });
}
