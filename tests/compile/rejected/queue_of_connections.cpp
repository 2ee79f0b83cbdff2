// CAUSE: a Connection cannot be sent through a queue
// REMEDY: pass it to a Process when that starts
#include <forkful/connection.hpp>
#include <forkful/queue.hpp>

int main() { forkful::Queue<forkful::Connection> connections; }
