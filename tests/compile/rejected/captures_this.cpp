// CAUSE: captures `this` or a pointer
// REMEDY: capture the values themselves
#include <forkful/pool.hpp>
#include <vector>

struct Scaler {
  int factor = 2;
  auto scale(forkful::Pool& pool) {
    return pool.map([this](int x) { return factor * x; }, std::vector{1, 2, 3});
  }
};

int main() {
  forkful::Pool pool(2);
  (void)Scaler{}.scale(pool);
}
