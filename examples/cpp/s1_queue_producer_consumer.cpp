// One process makes items, another one takes them.
// Python ends with a sentinel; here the producer shuts the queue down, and the loop of whoever
// empties it ends.

#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <iostream>
#include <string>

void producer(forkful::Queue<std::string> queue) {
  for (const char* item : {"apple", "banana", "cherry"}) queue.put(item);
  queue.shut_down();
}

void consumer(forkful::Queue<std::string> queue) {
  for (const std::string& item : queue) std::cout << "Processing: " << item << '\n';
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  const forkful::Queue<std::string> queue;  // its copies share the items
  forkful::Process p1(producer, queue);
  forkful::Process p2(consumer, queue);
  p1.join();
  p2.join();
}
