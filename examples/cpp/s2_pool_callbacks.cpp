// Callbacks for results and for errors.
// They are chained to the Future, which waits for them as well; they run in this process, so they
// may capture anything.

#include <chrono>
#include <exception>
#include <forkful/init.hpp>
#include <forkful/pool.hpp>
#include <iostream>
#include <stdexcept>
#include <thread>
#include <vector>

int process_item(int item) {
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  if (item == 7) throw std::out_of_range("'seven'");
  return item * item;
}

void process_callback(int result) { std::cout << "Got result: " << result << '\n'; }

void error_callback(const std::exception& error) {
  std::cout << "Error occurred: " << error.what() << '\n';
}

int main(int argc, char** argv) {
  forkful::init(argc, argv);

  forkful::Pool pool(4);
  std::vector<forkful::Future<void>> async_results;
  for (int i = 0; i < 10; ++i) {
    async_results.push_back(
        pool.apply_async(process_item, i).then(process_callback).on_error(error_callback));
  }
  for (auto& result : async_results) result.wait();
}
