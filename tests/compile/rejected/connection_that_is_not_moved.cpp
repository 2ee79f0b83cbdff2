// CAUSE: this argument is a Connection
// REMEDY: std::move(connection)
#include <forkful/pipe.hpp>
#include <forkful/process.hpp>

void serve(forkful::Connection) {}

int main() {
  auto [a, b] = forkful::Pipe();
  forkful::Process child(serve, b);
}
