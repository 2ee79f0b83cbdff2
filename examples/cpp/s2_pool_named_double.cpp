// A pool in a program without any guard, whose counterpart is init().
// Python needs a function with a name here; in C++ a lambda will do as well, see s3_square_pool.

#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <ranges>

#include "list.hpp"

int twice(int x) { return x * 2; }

int main(int argc, char** argv) {
  forkful::init(argc, argv);  // workers do not get past this line
  std::cout << list(forkful::Pool().map(twice, std::views::iota(0, 8))) << '\n';
}
