// A queue, which works within one process as between several.
// Only a program that starts processes needs init().

#include <forkful/queue.hpp>
#include <iostream>
#include <string>

int main() {
  const forkful::Queue<std::string> queue;
  queue.put("Hello");
  std::cout << queue.get() << '\n';
}
