// CAUSE: trivially copyable type without pointers
// REMEDY: through a Queue
#include <forkful/array.hpp>
#include <string>

int main() { const forkful::Array<std::string> array(3); }
