// CAUSE: captures data that owns memory
// REMEDY: forkful::bind
#include <forkful/process.hpp>
#include <vector>

int main() {
  const std::vector<int> data{1, 2, 3};
  forkful::Process child([data] { (void)data; });
}
