// CAUSE: has a T& parameter
// REMEDY: return what changed
#include <forkful/pool.hpp>
#include <vector>

void twice(int& x) { x *= 2; }

int main() {
  forkful::Pool pool(2);
  std::vector<int> numbers{1, 2, 3};
  pool.map(twice, numbers);
}
