// A producer and a consumer, with a sentinel at the end.
// A queue has one type, so what Python says with None is an optional without a value here; a
// shutdown, as in s1_queue_producer_consumer, does without.

#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <iostream>
#include <optional>
#include <vector>

using Queue = forkful::Queue<std::optional<int>>;

void producer(Queue queue, const std::vector<int>& items) {
  for (const int item : items) {
    queue.put(item);
    std::cout << "Produced: " << item << '\n';
  }
  queue.put(std::nullopt);
}

void consumer(Queue queue) {
  while (const auto item = queue.get()) std::cout << "Consumed: " << *item << '\n';
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  const Queue queue;
  forkful::Process prod(producer, queue, std::vector{1, 2, 3, 4, 5});
  forkful::Process cons(consumer, queue);
  prod.join();
  cons.join();
}
