// CAUSE: a class with private members
// REMEDY: specialise forkful::codec
#include <forkful/queue.hpp>

class Account {
 public:
  explicit Account(int balance) : balance_(balance) {}
  int balance() const { return balance_; }

 private:
  int balance_;
};

int main() {
  forkful::Queue<Account> queue;
  queue.put(Account(1));
}
