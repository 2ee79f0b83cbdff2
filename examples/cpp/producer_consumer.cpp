// Producers and consumers around one queue, results through another.

#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <iostream>
#include <string>
#include <vector>

struct Order {
  int number;
  std::vector<std::string> items;
};

void produce(forkful::Queue<Order>& orders, int first, int count) {
  for (int i = first; i < first + count; ++i) orders.put({i, {"tea", "cup " + std::to_string(i)}});
}

void consume(forkful::Queue<Order>& orders, forkful::Queue<std::string>& done) {
  for (const Order& order : orders) {  // ends when the queue is shut down and empty
    done.put("order " + std::to_string(order.number) + ": " + order.items.back());
  }
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::Queue<Order> orders(16);  // a full queue makes producers wait
  forkful::Queue<std::string> done;
  {
    forkful::Process consumer_a(consume, orders, done);
    forkful::Process consumer_b(consume, orders, done);
    {
      forkful::Process producer_a(produce, orders, 0, 50);
      forkful::Process producer_b(produce, orders, 50, 50);
    }  // a Process waits for its child at the end of its scope
    orders.shut_down();
  }
  std::cout << done.size() << " orders, the first one done was " << done.get() << '\n';
}
