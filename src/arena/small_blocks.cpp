#include "arena/small_blocks.hpp"

#include "arena/runs.hpp"

namespace forkful::arena {
namespace {

void require_small_block(Offset block, std::uint64_t block_bytes) {
  if (!can_be_small_block(block, block_bytes)) damaged();
}

}  // namespace

bool can_be_small_block(Offset block, std::uint64_t block_bytes) {
  return block % block_bytes == 0 && can_be_page(block - block % kPageBytes);
}

Offset stage_small_block(Journal& journal, std::uint64_t bytes) {
  const unsigned size_class = small_block_class(bytes);
  const Offset list = free_blocks_of(size_class);
  const Offset block = journal.get(list);
  if (block == 0) return 0;
  require_small_block(block, bytes_of_class(size_class));
  journal.set(list, journal.get(link_of(block)));
  return block;
}

Offset stage_cut(Journal& journal, Offset run, std::uint64_t bytes) {
  const unsigned size_class = small_block_class(bytes);
  const std::uint64_t block_bytes = bytes_of_class(size_class);
  // The run is not in use before the commit, so its blocks can be chained by plain stores.
  const Offset end = run + kSmallBlocksRunBytes;
  for (Offset each = run + block_bytes; each < end; each += block_bytes) {
    at<std::uint64_t>(link_of(each)) = each + block_bytes < end ? each + block_bytes : 0;
  }
  journal.set(free_blocks_of(size_class), run + block_bytes);
  return run;
}

void stage_small_block_freed(Journal& journal, Offset block, std::uint64_t bytes) {
  const unsigned size_class = small_block_class(bytes);
  require_small_block(block, bytes_of_class(size_class));
  const Offset list = free_blocks_of(size_class);
  journal.set(link_of(block), journal.get(list));
  journal.set(list, block);
}

}  // namespace forkful::arena
