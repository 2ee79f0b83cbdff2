// CAUSE: this names several functions
// REMEDY: a lambda around the call
#include <forkful/fork_map.hpp>
#include <vector>

int twice(int x);
double twice(double x);

int main() { forkful::fork_map(twice, std::vector{1, 2}); }
