// CAUSE: a pointer cannot be sent
// REMEDY: send the value
#include <forkful/pool.hpp>

int add(const int* left, int right) { return *left + right; }

int main() {
  forkful::Pool pool(2);
  const int one = 1;
  return pool.apply(forkful::bind(add, &one), 2);
}
