// CAUSE: base class has members
// REMEDY: make the base a member
#include <forkful/queue.hpp>

struct Point {
  int x, y;
};
struct Named : Point {
  int name;
};

int main() { forkful::Queue<Named>().put({{1, 2}, 3}); }
