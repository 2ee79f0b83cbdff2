// CAUSE: captures `this` or a pointer
// REMEDY: capture the values themselves
#include <forkful/pool.hpp>

int main() {
  forkful::Pool pool(2);
  const int number = 1;
  return pool.apply([p = &number] { return *p; });
}
