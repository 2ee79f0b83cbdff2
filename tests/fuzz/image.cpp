#include "image.hpp"

namespace forkful::fuzz {

namespace {

using namespace arena;

// The heap gives out a window's pages from its end.
constexpr std::uint64_t kPagesOfWords = 1024;
constexpr std::uint64_t kPagesOfData = 64;

}  // namespace

Image::Image() {
  constexpr std::uint32_t kSomeMembers = 16;
  constexpr Offset kFirstPage = kFirstWindowDataAt / kPageBytes;
  note(kHeaderAt, kMembersAt + kSomeMembers * sizeof(Member));
  note(kFirstPage * sizeof(PageWords), (kFirstPage + kPagesOfData) * sizeof(PageWords));
  note((kPagesPerWindow - kPagesOfWords) * sizeof(PageWords), kPagesPerWindow * sizeof(PageWords));
  note(kWindowBytes - kPagesOfData * kPageBytes, kWindowBytes);
}

void Image::note(Offset from, Offset to) {
  std::byte* const begin = at(from);
  parts_.push_back({begin, Input(begin, begin + (to - from))});
}

void Image::restore() const {
  for (const Part& part : parts_) std::memcpy(part.at, part.was.data(), part.was.size());
}

bool would_wait(const sync::OwnerWord& lock) {
  const auto owner = lock.owner();
  return owner && end_of(owner) == sync::End::alive;
}

}  // namespace forkful::fuzz
