// CAUSE: takes a `char*`
// REMEDY: const std::string&
#include <forkful/process.hpp>
#include <forkful/queue.hpp>

void work(forkful::Queue<int>& queue, const char* text) { queue.put(text[0]); }

int main() {
  forkful::Queue<int> queue;
  const forkful::Process child(work, queue, "abc");
}
