// CAUSE: names several functions
// REMEDY: a lambda around the call
#include <forkful/process.hpp>

void greet() {}
void greet(int) {}

int main() { forkful::Process child(greet, 1); }
