// The table. A new fuzzer has a file of its own, a line among the declarations and one in the
// table.
#include "fuzzers.hpp"

namespace forkful::fuzz {

#define FORKFUL_FUZZER(name)  \
  namespace name {            \
  void read(Bytes input);     \
  std::vector<Input> seeds(); \
  }

FORKFUL_FUZZER(canary)
FORKFUL_FUZZER(codec)
FORKFUL_FUZZER(exceptions)
FORKFUL_FUZZER(results)
FORKFUL_FUZZER(tasks)
FORKFUL_FUZZER(markers)
FORKFUL_FUZZER(connection)
FORKFUL_FUZZER(ring)
FORKFUL_FUZZER(arena)

namespace {

constexpr Fuzzer kFuzzers[] = {
    {"canary", "one with a fault, which has to be found", canary::read, canary::seeds, 2000},
    {"codec", "read_value<T> of plain and nested types", codec::read, codec::seeds, 10000},
    {"exceptions", "read_exception", exceptions::read, exceptions::seeds, 5000},
    {"results", "ResultReader, and the frames' payloads", results::read, results::seeds, 10000},
    {"tasks", "TaskPool::Worker::next and TaskRun", tasks::read, tasks::seeds, 2000},
    {"markers", "Marker::parse and renumber, HostModule::parse", markers::read, markers::seeds,
     20000},
    {"connection", "RawConnection::receive, its framing", connection::read, connection::seeds,
     4000},
    {"ring", "Ring: records, links and marks of either end", ring::read, ring::seeds, 3000},
    {"arena", "an arena with changed words, used on", arena::read, arena::seeds, 100},
};

}  // namespace

std::span<const Fuzzer> fuzzers() { return kFuzzers; }

}  // namespace forkful::fuzz
