// CAUSE: after the items
// REMEDY: map(f, items)
#include <forkful/process_pool_executor.hpp>
#include <vector>

int main() {
  forkful::ProcessPoolExecutor executor(2);
  (void)executor.map(std::vector{1, 2, 3}, [](int x) { return 2 * x; });
}
