// CAUSE: a view
// REMEDY: a std::string
#include <forkful/queue.hpp>
#include <string_view>

int main() { const forkful::Queue<std::string_view> queue; }
