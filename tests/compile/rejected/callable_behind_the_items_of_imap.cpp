// CAUSE: after the items
// REMEDY: map(f, items)
#include <forkful/pool.hpp>
#include <vector>

int main() {
  forkful::Pool pool(2);
  const std::vector numbers{1, 2, 3};
  for (const int number : pool.imap(numbers, [](int x) { return 2 * x; })) (void)number;
}
