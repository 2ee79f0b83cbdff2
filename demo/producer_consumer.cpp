// One process makes messages, another one adds them up.

#include <cstdint>
#include <cstdio>
#include <forkful/init.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>

#include "times.hpp"

namespace {

constexpr std::int64_t kMessages = 5'000'000;

void produce(forkful::Queue<std::int64_t> numbers) {
  for (std::int64_t number = 0; number < kMessages; ++number) numbers.put(number);
  numbers.shut_down();
}

void consume(forkful::Queue<std::int64_t> numbers, forkful::Queue<std::int64_t> answer) {
  std::int64_t sum = 0;
  for (const std::int64_t number : numbers) sum += number;
  answer.put(sum);
}

}  // namespace

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  std::printf("C++: a producer and a consumer, %lld integers through a Queue\n",
              static_cast<long long>(kMessages));
  const std::int64_t sum = timed("producer and consumer", "5,000,000 messages", [] {
    forkful::Queue<std::int64_t> numbers;
    forkful::Queue<std::int64_t> answer;
    forkful::Process consumer(consume, numbers, answer);
    forkful::Process producer(produce, numbers);
    return answer.get();
  });
  if (sum != kMessages * (kMessages - 1) / 2) {
    std::fprintf(stderr, "demo: the sum is %lld, which is wrong\n", static_cast<long long>(sum));
    return 1;
  }
  std::printf("  their sum is %lld, as it should be\n", static_cast<long long>(sum));
}
