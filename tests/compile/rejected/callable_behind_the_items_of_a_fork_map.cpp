// CAUSE: after the items
// REMEDY: map(f, items)
#include <forkful/fork_map.hpp>
#include <vector>

int main() {
  (void)forkful::fork_map(std::vector{1, 2, 3}, [](int x) { return 2 * x; });
}
