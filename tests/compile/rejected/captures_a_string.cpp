// CAUSE: captures data that owns memory
// REMEDY: forkful::bind
#include <forkful/pool.hpp>
#include <string>
#include <vector>

int main() {
  forkful::Pool pool(2);
  const std::string word = "x";
  auto sizes = pool.map([word](int n) { return word.size() * n; }, std::vector{1, 2, 3});
  return static_cast<int>(sizes.size());
}
