// CAUSE: takes fewer arguments than it is given
// REMEDY: as many parameters as arguments
#include <forkful/process.hpp>

void work(int) {}

int main() { const forkful::Process child(work, 1, 2); }
