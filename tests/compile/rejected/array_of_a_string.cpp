// CAUSE: trivially copyable type without pointers
// REMEDY: through a Queue
#include <forkful/array.hpp>
#include <string>

int main() {
  forkful::Array<std::string> array(3);
  array.store(0, "x");
}
