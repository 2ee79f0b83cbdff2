// CAUSE: trivially copyable type without pointers
// REMEDY: through a Queue
#include <forkful/value.hpp>
#include <string>

int main() {
  forkful::Value<std::string> value;
  value.store("x");
}
