// CAUSE: names several functions
// REMEDY: a lambda around the call
#include <forkful/pool.hpp>

template <class T>
T twice(T x) {
  return x + x;
}

int main() {
  forkful::Pool pool(2);
  return pool.apply(forkful::bind(twice, 1));
}
