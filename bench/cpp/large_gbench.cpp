// Vectors of 25 MB through a Queue, one after the other, beside a warm memcpy of as much in one
// process: the floor. The sender fills one vector and sends it again and again; the receiver looks
// at each. At most two wait in the queue.

#include <cstring>
#include <forkful/event.hpp>
#include <forkful/process.hpp>
#include <forkful/queue.hpp>
#include <vector>

#include "support.hpp"

namespace {

using bench::Clock;
using Vector = std::vector<double>;
using Vectors = forkful::Queue<Vector>;

constexpr std::size_t kNumbers = 25'000'000 / sizeof(double);
constexpr std::uint64_t kWarmUp = 4;

void send_all(Vectors to, std::uint64_t count) {
  bench::pin_child();
  Vector vector(kNumbers, 1);
  for (std::uint64_t i = 0; i < count; ++i) {
    vector.front() = vector.back() = static_cast<double>(i);
    to.put(vector);
  }
}

void check(const Vector& vector, std::uint64_t i) {
  if (vector.size() != kNumbers || vector.front() != static_cast<double>(i) ||
      vector.back() != vector.front() || vector[kNumbers / 2] != 1) {
    throw std::runtime_error("a vector arrived damaged");
  }
}

double through_queue(std::uint64_t count) {
  Vectors vectors(2);
  forkful::Process child(send_all, vectors, kWarmUp + count);
  for (std::uint64_t i = 0; i < kWarmUp; ++i) check(vectors.get(), i);
  const auto begin = Clock::now();
  for (std::uint64_t i = kWarmUp; i < kWarmUp + count; ++i) check(vectors.get(), i);
  return bench::seconds_since(begin);
}

double copies(std::uint64_t count) {
  const Vector from(kNumbers, 1);
  Vector to(kNumbers);
  std::memcpy(to.data(), from.data(), kNumbers * sizeof(double));
  const auto begin = Clock::now();
  for (std::uint64_t i = 0; i < count; ++i) {
    std::memcpy(to.data(), from.data(), kNumbers * sizeof(double));
    benchmark::ClobberMemory();
  }
  return bench::seconds_since(begin);
}

void add_all() {
  bench::add("Queue, vector of 25 MB/forkful", 200, through_queue);
  bench::add("Queue, vector of 25 MB/memcpy", 200, copies);
}

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, add_all); }
