// Results through two queues.
// The process can be waited for before the queues are emptied, at any size; with Python's this
// may hang.

#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <iostream>

void calculate_square_cube(int number, forkful::Queue<int> square_result,
                           forkful::Queue<int> cube_result) {
  square_result.put(number * number);
  cube_result.put(number * number * number);
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  constexpr int number = 5;

  const forkful::Queue<int> square_result;
  const forkful::Queue<int> cube_result;
  forkful::Process process(calculate_square_cube, number, square_result, cube_result);
  process.join();
  std::cout << "Square of " << number << ": " << square_result.get() << '\n';
  std::cout << "Cube of " << number << ": " << cube_result.get() << '\n';
}
