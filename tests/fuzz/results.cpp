// What a worker hands in: a message of frames, whose payloads are values or exceptions.
#include <forkful/bytes/task_pool.hpp>
#include <forkful/detail/calls/exception.hpp>
#include <forkful/detail/codec/codec.hpp>
#include <forkful/detail/executor/job.hpp>
#include <map>
#include <string>

#include "base/bytes.hpp"
#include "base/check.hpp"
#include "fuzzers.hpp"
#include "pool/words.hpp"

namespace forkful::fuzz::results {
namespace {

using bytes::ResultFrame;
using bytes::ResultHead;
using bytes::ResultReader;
using Value = std::map<std::string, int>;

// The message as a worker lays it out: see TaskPool::Worker::append().
Input message(std::uint32_t first, std::uint32_t start,
              const std::vector<std::pair<detail::TaskStatus, Input>>& results) {
  detail::Writer frames;
  for (const auto& [status, payload] : results) {
    frames.raw(ResultFrame{status, 0, payload.size()});
    frames.bytes(payload.data(), payload.size());
    constexpr std::uint64_t kNothing = 0;
    frames.bytes(&kNothing, base::round_up(payload.size(), 8) - payload.size());
  }
  detail::Writer whole;
  whole.raw(ResultHead{5, first, start, bytes::ResultKind::items, 1,
                       pool::make_progress(results.size(), frames.size())});
  whole.bytes(frames.view().data(), frames.size());
  return input_of(whole.view());
}

Input value(const Value& what) {
  detail::Writer to;
  detail::write_value(to, what);
  return input_of(to.view());
}

Input exception() {
  detail::Writer to;
  try {
    throw Error("an item's error");
  } catch (...) {
    detail::write_current_exception(to);
  }
  return input_of(to.view());
}

}  // namespace

void read(Bytes input) {
  tolerate([&] {
    std::size_t payloads = 0;
    for (ResultReader results(input); results.next();) {
      payloads += results.payload().size();
      FORKFUL_CHECK(payloads <= input.size());
      (void)results.index();
      detail::Reader from(results.payload());
      tolerate([&] {
        if (results.status() == detail::kException) {
          (void)detail::read_exception(from);
        } else {
          (void)detail::read_value<Value>(from);
        }
      });
    }
  });
}

std::vector<Input> seeds() {
  return {message(0, 0, {{detail::kValue, value({{"a", 1}})}}),
          message(3, 2, {{detail::kValue, value({})}, {detail::kException, exception()}}),
          message(0, 0, {{detail::kException, exception()}}), message(0, 0, {})};
}

}  // namespace forkful::fuzz::results
