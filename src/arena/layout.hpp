// What lies where in the arena: the one memory that a family shares.
//
// The arena is a sparse memfd, mapped in windows of 256 MiB. A handle is an offset; no pointer
// lies in shared memory. Each window begins with the words of its pages; the first also holds
// the header and the table of members.
//
// Every struct here is shared between processes: fixed-width fields, trivially copyable or atomic,
// sizes frozen by tests/unit/arena/layout_test.cpp. Change one, and kLayoutVersion with it.
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "sync/owner_word.hpp"

namespace forkful::arena {

using base::MemberId;
using base::Offset;

inline constexpr std::uint64_t kMagic = 0x6c75666b726f66;  // "forkful"
inline constexpr std::uint32_t kLayoutVersion = 9;

// A guess. A window is the unit in which the file grows and is mapped, and the largest run but for
// those that have windows of their own.
inline constexpr std::uint64_t kWindowBytes = 256ull << 20;
// 256 GiB in all: a table of as many pointers in each process is 8 KiB.
inline constexpr std::uint64_t kWindows = 1024;
inline constexpr std::uint64_t kPageBytes = 4096;
inline constexpr std::uint64_t kPagesPerWindow = kWindowBytes / kPageBytes;
// As many as the 15 bits of MemberId::index() can name.
inline constexpr std::uint32_t kMembers = 1u << 15;
// 1,024 CPUs, as in the C library's cpu_set_t.
inline constexpr std::uint32_t kCpuWords = 1024 / 64;
inline constexpr std::uint32_t kRunsAtHand = 8;  // more than most members have at a time

// The words of one page. Only the first page of a run has a valid `head`, `next` and `prev`,
// only the last a valid `foot`.
struct PageWords {
  std::uint64_t head;  // pages of the run, and its owner or that it is free: see runs.hpp
  Offset foot;         // where the run begins
  Offset next;         // neighbours in the list that the run is in: see runs.hpp
  Offset prev;
};
static_assert(sizeof(PageWords) == 32);

// One change of the arena's structure: which words get which values. See journal.hpp.
struct JournalEntry {
  Offset where;
  std::uint64_t value;
};
template <std::uint32_t Capacity>
struct JournalWords {
  sync::OwnerWord lock;
  std::atomic<std::uint32_t> committed{0};  // entries to apply; 0: none
  JournalEntry entries[Capacity];
};

// A member of the family. The state word is {generation:16 << 8 | state:8}.
enum class MemberState : std::uint8_t { free, reserved, live, left, died };

inline constexpr std::uint32_t kNameWords = 4;
inline constexpr std::uint32_t kNameBytes = kNameWords * 8;

struct alignas(base::kCacheLine) Member {
  std::atomic<std::uint64_t> state;
  std::atomic<std::uint64_t> last_ends;  // how the entry's last members went: see members.cpp
  std::atomic<std::int64_t> seen_at_ns;  // CLOCK_BOOTTIME of its reservation, then of its claim
  std::atomic<std::int32_t> pid;
  std::atomic<std::uint32_t> parent;  // the MemberId of its starter
  std::atomic<std::uint32_t> flags;
  std::atomic<std::uint32_t> asleep;      // its threads asleep in a wait of ours
  Offset holdings;                        // the block that lists the objects it holds
  std::atomic<Offset> start;              // what a re-executed child shall run
  Offset runs;                            // those of its runs that are not at hand, as a list
  std::atomic<std::uint32_t> cpus_noted;  // the generation that wrote `cpus`
  std::atomic<std::uint32_t> exit_word;   // what it says of its exit code; see members.cpp
  // For people: UTF-8, then zeros. Others read it while it is written; see name_of().
  std::atomic<std::uint64_t> name[kNameWords];
  std::atomic<std::uint64_t> pid_namespace;  // that `pid` is of; 0: not known
  std::atomic<std::uint32_t> lock_lasts;     // its lock is gone only when it is
  std::uint32_t reserved_word;
  std::uint64_t reserved;
  Offset at_hand[kRunsAtHand];  // runs of the heap that belong to it, or 0; a line of their own
  // What the thread that went to sleep last sleeps for: {what:8 << 56 | value:56}, and since when
  // (monotonic). For views; they hold while `asleep` is not 0. See note_place() in awake.cpp.
  std::atomic<std::uint64_t> sleeps_at;
  std::atomic<std::int64_t> sleeps_since_ns;
  std::uint64_t reserved_more[6];
  std::atomic<std::uint64_t> cpus[kCpuWords];  // its affinity, a bit for each CPU
};
static_assert(sizeof(Member) == 384);

// A set of members, a bit for each entry. Why no count: one that several processes change step by
// step goes wrong for good when one of them is killed between two steps; a bit can be set right.
class MemberBits {
 public:
  static constexpr std::uint32_t kWords = kMembers / 64;

  void assign(std::uint32_t index, bool is_in) {
    const std::uint64_t bit = std::uint64_t{1} << index % 64;
    auto& word = words_[index / 64 % kWords];
    if (is_in) {
      word.fetch_or(bit);
    } else {
      word.fetch_and(~bit);
    }
  }
  [[nodiscard]] std::uint64_t word(std::uint32_t index) const {
    return words_[index].load(std::memory_order_relaxed);
  }
  // How many there are.
  [[nodiscard]] std::uint32_t load() const {
    int count = 0;
    for (std::uint32_t i = 0; i < kWords; ++i) count += std::popcount(word(i));
    return static_cast<std::uint32_t>(count);
  }

 private:
  std::atomic<std::uint64_t> words_[kWords];
};

// A member that died, as the family remembers it for views.
struct Death {
  std::uint32_t member;
  std::int32_t pid;
  std::uint32_t parent;  // a MemberId
  std::uint32_t flags;
  std::int64_t at_ns;  // CLOCK_BOOTTIME of when it was noticed
  std::uint64_t sleeps_at;
  char name[kNameBytes];
};
static_assert(sizeof(Death) == 64);
// One place more than are shown: the next one is written where nobody looks.
inline constexpr std::uint32_t kDeathsKept = 31;

// A text that objects are called by: see labels.hpp.
struct LabelWords {
  std::atomic<std::uint64_t> hash;  // of the text, which is there; 0: the place is free
  char text[56];
};
static_assert(sizeof(LabelWords) == 64);
inline constexpr std::uint32_t kLabels = 512;  // what the pages of the header have room for

inline constexpr std::uint32_t kBins = 32;
inline constexpr std::uint32_t kSmallBlockSizes = 6;  // 64, 128, … 2048 bytes
inline constexpr std::uint32_t kSpareSizes = 16;      // spare runs have so many pages at most
// The longest list is that of a message that is sent or freed with all that joins; see JOURNAL.md.
inline constexpr std::uint32_t kJournalCapacity = 96;

struct Header {
  std::uint64_t magic;
  std::uint32_t layout_version;
  std::uint32_t reserved_word;
  std::uint64_t family_id;          // random: a handle of another family has another one
  std::uint64_t hash_key[2];        // random: of the keys of dicts
  std::atomic<std::uint32_t> root;  // the family's first member
  std::atomic<std::uint32_t> cpus;  // the union of the members' CPUs, within the quota
  std::uint32_t quota_cpus;
  std::atomic<std::uint32_t> first_entry_unused;  // entries from here on were never used
  std::uint64_t member_cursor;
  std::uint64_t next_serial;
  std::uint64_t windows_used;  // windows below it were taken once
  std::uint64_t used_pages;
  std::uint64_t checked_pages;                   // up to here the limits have been looked at
  std::uint64_t warm_pages;                      // free ones that the kernel has not got back
  std::atomic<std::uint32_t> log_level;          // messages below it are dropped; 0: all messages
  std::atomic<std::int32_t> log_fd;              // where the family logs to
  Offset dying;                                  // objects that nobody holds, being taken apart
  Offset unwanted;                               // runs still to be freed: see giving_back.hpp
  Offset bins[kBins];                            // free runs by size
  Offset small_blocks[kSmallBlockSizes];         // free ones, by size
  std::uint64_t spares[kSpareSizes];             // spare runs by size: see spare_runs.hpp
  std::uint64_t windows_taken[kWindows / 64];    // a bit for each
  std::uint64_t windows_of_runs[kWindows / 64];  // those in which runs begin
  alignas(base::kCacheLine) JournalWords<kJournalCapacity> journal;
  alignas(base::kCacheLine) MemberBits members_live;  // they have begun and not said good-bye
  MemberBits members_asleep;                          // a thread of theirs sleeps in a wait of ours
  std::uint64_t deaths_seen;  // ever; the last ones are in `deaths`, the n-th at n modulo its size
  Death deaths[kDeathsKept + 1];  // see note_death() in members.cpp
  alignas(base::kCacheLine) LabelWords labels[kLabels];
};

inline constexpr Offset kHeaderAt = kPagesPerWindow * sizeof(PageWords);
inline constexpr Offset kMembersAt = kHeaderAt + 16 * kPageBytes;
static_assert(sizeof(Header) <= 16 * kPageBytes);
inline constexpr Offset kFirstWindowDataAt = kMembersAt + kMembers * sizeof(Member);
inline constexpr Offset kWindowDataAt = kHeaderAt;

// Every object begins with this; a free small block keeps only `link`.
struct ObjectHeader {
  std::uint64_t kind_and_serial;  // kind:16, serial:48; a stale handle has another serial
  std::uint64_t holders;          // members that hold it; bit 32: pinned, see objects.hpp
  std::uint64_t bytes;            // header included
  Offset link;                    // next free small block, or next dying object
  std::uint64_t label;            // see labels.hpp
};
static_assert(sizeof(ObjectHeader) == 40);

}  // namespace forkful::arena
