// CAUSE: not through another Connection
// REMEDY: passed to a Process when that starts
#include <forkful/pipe.hpp>

int main() {
  auto [a, b] = forkful::Pipe();
  a.send(b);
}
