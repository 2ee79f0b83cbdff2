// CAUSE: std::function
// REMEDY: forkful::bind
#include <forkful/pool.hpp>
#include <functional>

int main() {
  forkful::Pool pool(2);
  const std::function<int(int)> twice = [](int x) { return 2 * x; };
  return pool.apply_async(twice, 1).get();
}
