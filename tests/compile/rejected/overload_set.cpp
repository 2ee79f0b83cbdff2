// CAUSE: names several functions
// REMEDY: a lambda around the call
#include <forkful/pool.hpp>
#include <vector>

int twice(int x) { return 2 * x; }
double twice(double x) { return 2 * x; }

int main() {
  forkful::Pool pool(2);
  const std::vector<int> doubled = pool.map(twice, std::vector{1, 2, 3});
  return static_cast<int>(doubled.size());
}
