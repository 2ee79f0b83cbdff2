// CAUSE: a pointer cannot be sent
// REMEDY: send the value
#include <forkful/queue.hpp>
#include <vector>

struct Node {
  int number;
  const Node* next;
};

int main() {
  forkful::Queue<std::vector<Node>> queue;
  queue.put({{1, nullptr}});
  return static_cast<int>(queue.get().size());
}
