// CAUSE: a pointer to a member
// REMEDY: a lambda around the call
#include <forkful/pool.hpp>
#include <string>
#include <vector>

int main() {
  forkful::Pool pool(2);
  (void)pool.map(&std::string::size, std::vector<std::string>{"a", "bc"});
}
