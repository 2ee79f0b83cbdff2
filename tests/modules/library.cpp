#include "library.hpp"

namespace library {
namespace {
int minus(int number) { return -number; }
}  // namespace

int thrice(int number) { return 3 * number; }
Function hidden() { return minus; }

}  // namespace library
