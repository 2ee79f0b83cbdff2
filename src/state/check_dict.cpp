// check(): every structure of a dict is walked, and held against the others that speak of the same
// records and cells. For tests.
#include <algorithm>
#include <vector>

#include "base/check.hpp"
#include "state/change.hpp"

namespace forkful::state {
namespace {

struct Piece {
  Offset at;
  std::uint64_t bytes;
  friend auto operator<=>(const Piece&, const Piece&) = default;
};

// The order of insertion, both ways, and each record by its key. Adds what records take.
std::uint64_t check_records(const Change& change, std::vector<Piece>& pieces) {
  std::uint64_t count = 0;
  Offset before = 0;
  for (Offset at = change.head(); at != 0; ++count) {
    const Record& record = Record::at(at);
    FORKFUL_CHECK(record.prev == before);
    FORKFUL_CHECK(change.find(record.key()).place.record == at);
    pieces.push_back({at, cell_bytes(record.bytes())});
    const Bytes value = value_of(record);
    if (Place::of(record.place).lies == Lies::in_cell) {
      pieces.push_back({where_of(record), cell_bytes(value.size())});
    }
    before = at;
    at = record.next;
  }
  FORKFUL_CHECK(change.tail() == before);
  return count;
}

// Each byte of a chunk is a cell's, but for less than the smallest cell at its end.
void check_tiles(const std::vector<Piece>& pieces, Offset from, Offset end) {
  constexpr std::uint64_t kSmallestCell = 32;
  auto piece = std::ranges::lower_bound(pieces, Piece{from, 0});
  while (piece != pieces.end() && piece->at < end) {
    if (piece->bytes != 0) {
      FORKFUL_CHECK(piece->at == from);
      from += piece->bytes;
    }
    ++piece;
  }
  FORKFUL_CHECK(from <= end && end - from < kSmallestCell);
}

}  // namespace

void check(const Change& change) {
  std::vector<Piece> pieces;
  const std::uint64_t count = check_records(change, pieces);
  FORKFUL_CHECK(count == change.count());
  std::uint64_t slots = 0;
  const auto add = [&](Offset at, std::uint64_t bytes) { pieces.push_back({at, bytes}); };
  change.index().for_each([&](Offset) { ++slots; },
                          [&](Offset at, std::uint64_t bytes) { add(at, cell_bytes(bytes)); });
  FORKFUL_CHECK(slots == count);
  change.slabs().for_each_free(add);
  std::ranges::sort(pieces);
  // After clear() the object's own memory may be kept by what it has taken out.
  const auto own = std::ranges::lower_bound(pieces, Piece{change.first_cell(), 0});
  if (own != pieces.end() && own->at < change.object_end()) {
    check_tiles(pieces, change.first_cell(), change.object_end());
  }
  for (Offset at = change.slabs().last_chunk(); at != 0;) {
    const Chunk& chunk = arena::at<Chunk>(at);
    check_tiles(pieces, at + sizeof(Chunk), at + chunk.bytes);
    at = chunk.before;
  }
}

}  // namespace forkful::state
