// CAUSE: a pointer cannot be sent
// REMEDY: send the value
#include <forkful/pool.hpp>
#include <vector>

int number = 1;
int* find(int) { return &number; }

int main() {
  forkful::Pool pool(2);
  (void)pool.map(find, std::vector{1, 2, 3});
}
