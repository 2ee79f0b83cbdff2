// Who sleeps and who may spin. All of it is in single words: nothing here takes the arena's lock,
// as it is asked ahead of each sleep and within each spin. LIVENESS.md has the words.
#include "arena/awake.hpp"

#include <algorithm>
#include <bit>

#include "kernel/process_info.hpp"

namespace forkful::arena {
namespace {

std::uint32_t count_cpus() {
  std::uint64_t cpus[kCpuWords] = {};
  for (std::uint32_t index = 1; index < entries_used(); ++index) {
    const Member& each = member(MemberId::of(index, 0));
    if (state_in(each.state.load(std::memory_order_relaxed)) != MemberState::live) continue;
    for (std::uint32_t i = 0; i < kCpuWords; ++i) {
      cpus[i] |= each.cpus[i].load(std::memory_order_relaxed);
    }
  }
  std::uint32_t count = 0;
  for (const std::uint64_t word : cpus) count += static_cast<std::uint32_t>(std::popcount(word));
  return std::min(count, header().quota_cpus);
}

// Makes the family's bit say whether any thread of this member sleeps. Race: other threads of the
// member may do the same meanwhile. Whoever wrote the bit last looks once more after that, so the
// last look sees the last count.
void note_sleep(MemberId me) {
  const auto& asleep = member(me).asleep;
  for (bool any = asleep.load() != 0;;) {
    header().members_asleep.assign(me.index(), any);
    const bool now = asleep.load() != 0;
    if (now == any) return;
    any = now;
  }
}

constexpr int kValueBits = 56;
constexpr std::uint64_t kValueMask = (std::uint64_t{1} << kValueBits) - 1;

// Writes down what a thread is about to sleep for. Relaxed: nothing depends on it, and whoever
// shows it may show the place of one sleep with the time of another.
void note_place(Member& entry, sync::SleepsAt place, std::int64_t since_ns) {
  if (place.what == sync::SleepsAt::What::word) {
    const auto offset = offset_in_arena(reinterpret_cast<const std::byte*>(place.value));
    place = offset ? sync::SleepsAt{place.what, *offset}
                   : sync::SleepsAt{sync::SleepsAt::What::own_word, 0};
  }
  entry.sleeps_at.store(
      static_cast<std::uint64_t>(place.what) << kValueBits | (place.value & kValueMask),
      std::memory_order_relaxed);
  entry.sleeps_since_ns.store(since_ns, std::memory_order_relaxed);
}

}  // namespace

// Without the arena's lock, which nobody should have for as long as this takes. Race: others do the
// same meanwhile. Whoever wrote the count last counts once more after that.
void recount_cpus() {
  for (std::uint32_t count = count_cpus();;) {
    // On x86 this store is a fence, so the next count sees what others have written by then.
    // Elsewhere the number may be stale; it is a hint for spinners.
    header().cpus.store(count, std::memory_order_seq_cst);
    const std::uint32_t now = count_cpus();
    if (now == count) return;
    count = now;
  }
}

bool room_to_spin() {
  const Header& head = header();
  // Relaxed, all of these: hints that may be old by a moment.
  const std::uint32_t cpus = head.cpus.load(std::memory_order_relaxed);
  if (cpus <= 1) return false;
  std::uint32_t room = cpus;
  const std::uint32_t used = entries_used();
  for (std::uint32_t i = 0; i * 64 < used; ++i) {
    std::uint64_t awake = head.members_live.word(i) & ~head.members_asleep.word(i);
    // One by one: few are awake where there is room, and where there is none that is soon known.
    for (; awake != 0; awake &= awake - 1) {
      if (room-- == 0) return false;
    }
  }
  return true;
}

sync::SleepsAt place_in(std::uint64_t sleeps_at) {
  return {static_cast<sync::SleepsAt::What>(sleeps_at >> kValueBits), sleeps_at & kValueMask};
}

Sleep sleep_of(MemberId id) {
  const Member& entry = member(id);
  const std::uint64_t at = entry.sleeps_at.load(std::memory_order_relaxed);
  const std::int64_t since_ns = entry.sleeps_since_ns.load(std::memory_order_relaxed);
  if (entry.asleep.load(std::memory_order_relaxed) == 0) return {};
  return {place_in(at), since_ns};
}

void begin_sleep(MemberId me, const sync::SleepsAt& place, std::int64_t since_ns) {
  note_place(member(me), place, since_ns);
  if (member(me).asleep.fetch_add(1) == 0) note_sleep(me);
}

void end_sleep(MemberId me) {
  if (member(me).asleep.fetch_sub(1) == 1) note_sleep(me);
}

void note_affinity(MemberId me) {
  Member& entry = member(me);
  const kernel::CpuSet now = kernel::affinity();
  static_assert(sizeof now.words == kCpuWords * sizeof(std::uint64_t));
  bool same = entry.cpus_noted.load(std::memory_order_relaxed) == me.generation();
  for (std::uint32_t i = 0; i < kCpuWords; ++i) {
    if (entry.cpus[i].load(std::memory_order_relaxed) == now.words[i]) continue;
    entry.cpus[i].store(now.words[i], std::memory_order_relaxed);
    same = false;
  }
  if (same) return;
  entry.cpus_noted.store(me.generation(), std::memory_order_relaxed);
  recount_cpus();
}

}  // namespace forkful::arena
