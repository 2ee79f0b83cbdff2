// CAUSE: takes a `char*`
// REMEDY: const std::string&
#include <forkful/pool.hpp>

int first(const char* text) { return text[0]; }

int main() {
  forkful::Pool pool(2);
  (void)pool.apply(first, "abc");
}
