// CAUSE: is given after an argument of it
// REMEDY: Process(f, x)
#include <forkful/process.hpp>
#include <string>

void greet(const std::string&) {}

int main() { forkful::Process child("world", greet); }
