// CAUSE: has a T& parameter
// REMEDY: return what changed
#include <forkful/process.hpp>
#include <string>

void shout(std::string& text) { text += "!"; }

int main() { forkful::Process child(shout, "hello"); }
