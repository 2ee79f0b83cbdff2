// A Queue that each process makes anew before main: the processes say so, and do not start.
#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>

namespace {

forkful::Queue<int> g_queue;

void work() { g_queue.put(1); }

}  // namespace

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  forkful::Process child(work);
  child.join();
  return child.exit_code() == 1 ? 0 : 1;
}
