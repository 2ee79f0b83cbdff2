// Tasks whose items are numbers, and results that are the numbers' squares.
#pragma once

#include <cstring>
#include <forkful/bytes/task_pool.hpp>
#include <map>
#include <vector>

namespace forkful::test {

using bytes::Bytes;
using bytes::TaskHead;
using bytes::TaskPool;

template <class T>
Bytes as_part(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

// Items `first` to `first + count` of a job as one task.
inline void submit_numbers(const TaskPool& pool, std::uint64_t job, std::uint32_t first,
                           std::uint32_t count) {
  std::vector<std::uint64_t> items(count);
  for (std::uint32_t i = 0; i < count; ++i) items[i] = first + i;
  const Bytes part = std::as_bytes(std::span(items));
  pool.submit({job, first, count, 0, 0, 0}, std::span(&part, 1));
}

// Runs the claimed task; calls `at_item(number)` in each item.
template <class AtItem>
void square_all(TaskPool::Worker& worker, AtItem&& at_item) {
  const TaskHead task = worker.task();
  for (std::uint32_t i = task.start; i < task.count; ++i) {
    std::uint64_t number = 0;
    std::memcpy(&number, worker.payload().data() + i * sizeof number, sizeof number);
    worker.begin_item();
    at_item(number);
    const std::uint64_t square = number * number;
    const Bytes part = as_part(square);
    worker.commit_item(0, std::span(&part, 1));
  }
}

// A worker's life.
inline void work(const TaskPool& pool, std::uint32_t index) {
  TaskPool::Worker worker(pool, index);
  Wait forever;
  while (worker.next(forever) == bytes::ByteQueue::Got::received) {
    square_all(worker, [](std::uint64_t) {});
  }
}

// Results by index. Each must be right, and come once.
using Squares = std::map<std::uint32_t, std::uint64_t>;

// Reads frames into `squares`; false when one is wrong or came before.
inline bool read_frames(Bytes message, Squares& squares) {
  for (bytes::ResultReader reader(message); reader.next();) {
    std::uint64_t square = 0;
    if (reader.payload().size() != sizeof square) return false;
    std::memcpy(&square, reader.payload().data(), sizeof square);
    const std::uint64_t index = reader.index();
    if (square != index * index || !squares.emplace(reader.index(), square).second) return false;
  }
  return true;
}

// Reads what is there without waiting.
inline bool read_results(const TaskPool& pool, Squares& squares) {
  bytes::ByteMessage message;
  for (;;) {
    Wait poll(Deadline::poll());
    if (pool.next_result(message, poll) != bytes::ByteQueue::Got::received) return true;
    if (!read_frames(message.bytes(), squares)) return false;
  }
}

}  // namespace forkful::test
