// CAUSE: captures by reference
// REMEDY: capture by value
#include <forkful/pool.hpp>
#include <vector>

int main() {
  forkful::Pool pool(2);
  int sum = 0;
  pool.map([&sum](int x) { sum += x; }, std::vector{1, 2, 3});
}
