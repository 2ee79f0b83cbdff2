// Sends callables of each kind to a pool of spawned workers. Linked in many ways: see
// CMakeLists.txt.
#include <cstdio>
#include <forkful/forkful.hpp>
#include <vector>

#include "library.hpp"

namespace {

int square(int number) { return number * number; }
int add(int left, int right) { return left + right; }

bool is(const char* what, const std::vector<int>& got, const std::vector<int>& expected) {
  if (got == expected) return true;
  std::fprintf(stderr, "%s: wrong results\n", what);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
#ifdef CALLS_INIT
  forkful::init(argc, argv);
#else
  (void)argc;
  (void)argv;
#endif
  forkful::Pool pool(2);
  const std::vector<int> numbers{1, 2, 3};
  const int ten = 10;
  bool good = is("a function", pool.map(square, numbers), {1, 4, 9});
  good &= is("a lambda", pool.map([ten](int x) { return ten * x; }, numbers), {10, 20, 30});
  good &= is("bind", pool.map(forkful::bind(add, 5), numbers), {6, 7, 8});
  good &= is("a library's function", pool.map(library::thrice, numbers), {3, 6, 9});
  good &= is("a library's hidden function", pool.map(library::hidden(), numbers), {-1, -2, -3});

  forkful::Queue<int> answers;
  forkful::Process child([](forkful::Queue<int>& to) { to.put(7); }, answers);
  good &= is("a process", {answers.get()}, {7});
  child.join();
  good = good && child.exit_code() == 0;
  if (good) std::puts("ok");
  return good ? 0 : 1;
}
