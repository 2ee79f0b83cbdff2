// Functions in a library of the program's.
#pragma once

namespace library {

int thrice(int number);

using Function = int (*)(int);
// A function that the library does not export.
Function hidden();

}  // namespace library
