// CAUSE: takes more arguments than it is given
// REMEDY: give all of
#include <forkful/pool.hpp>

int main() {
  forkful::Pool pool(2);
  return pool.apply([](int x, int y) { return x + y; }, 1);
}
