// A shared library with an engine of its own, none of whose symbols others see. It starts processes
// though main() is not its own.
#include <cstdio>
#include <cstring>
#include <forkful/forkful.hpp>
#include <vector>

#define PLUGIN_EXPORTS extern "C" __attribute__((visibility("default")))

namespace {

int square(int number) { return number * number; }

// In a child; it starts a process in turn.
void answer(forkful::Queue<int>& to) {
  forkful::Process grandchild([](forkful::Queue<int>& other) { other.put(7); }, to);
  grandchild.join();
  to.put(grandchild.exit_code().value_or(-1));
}

bool works(forkful::Context context) {
  forkful::Pool pool({.processes = 2, .context = context});
  const int ten = 10;
  const std::vector<int> numbers{1, 2, 3};
  if (pool.map(square, numbers) != std::vector{1, 4, 9}) return false;
  if (pool.map([ten](int x) { return ten * x; }, numbers) != std::vector{10, 20, 30}) return false;

  forkful::Queue<int> answers;
  forkful::Process child({.context = context}, answer, answers);
  const bool good = answers.get() == 7 && answers.get() == 0;
  child.join();
  return good && child.exit_code() == 0;
}

}  // namespace

PLUGIN_EXPORTS int run_plugin() {
  for (const auto context : {forkful::Context::spawn, forkful::Context::forkserver}) {
    if (!works(context)) return 1;
  }
  std::puts("ok");
  return 0;
}

// Where no host is found.
PLUGIN_EXPORTS int expect_refusal() {
  try {
    forkful::Process child([] {});
  } catch (const forkful::NotInitialized& error) {
    std::puts(error.what());
    return std::strstr(error.what(), "forkful-host") != nullptr ? 0 : 1;
  }
  return 1;
}
