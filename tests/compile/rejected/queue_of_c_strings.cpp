// CAUSE: a `char*` is one
// REMEDY: std::string
#include <forkful/queue.hpp>

int main() {
  forkful::Queue<const char*> queue;
  queue.put("abc");
}
