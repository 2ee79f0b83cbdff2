// CAUSE: their number or their types do not fit
// REMEDY: the parameters T
#include <forkful/pool.hpp>
#include <string>

int main() {
  forkful::Pool pool(2);
  return pool.apply([](int x, int y) { return x + y; }, 1, std::string("2"));
}
