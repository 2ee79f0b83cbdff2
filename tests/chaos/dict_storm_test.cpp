// Four that set, read, erase and empty one dict, with values of up to 20,000 bytes.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <forkful/bytes/dict.hpp>
#include <random>
#include <string>

#include "arena/heap.hpp"
#include "arena/membership.hpp"
#include "chaos/cast.hpp"
#include "chaos/storm.hpp"
#include "support/child.hpp"

namespace forkful::chaos {
namespace {

using bytes::RawDict;

constexpr std::size_t kPlayers = 4;
constexpr std::uint32_t kKeys = 700;

bytes::Bytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// A key and a number that say the same at both ends, and as many bytes of them in between as fit.
std::string make_value(std::uint32_t key, std::uint32_t number, std::size_t size) {
  const std::string stamp = std::to_string(key) + ":" + std::to_string(number) + ";";
  std::string value = stamp;
  while (value.size() + 2 * stamp.size() <= size) value += stamp;
  return value + stamp;
}

void check_value(std::uint32_t key, const RawDict::Buffer& value) {
  const std::string text(reinterpret_cast<const char*>(value.data()), value.size());
  const std::size_t end = text.find(';');
  FORKFUL_MUST(end != std::string::npos);
  const std::string stamp = text.substr(0, end + 1);
  FORKFUL_MUST(stamp.starts_with(std::to_string(key) + ":"));
  FORKFUL_MUST(text.size() % stamp.size() == 0);
  for (std::size_t at = 0; at < text.size(); at += stamp.size()) {
    FORKFUL_MUST(text.compare(at, stamp.size(), stamp) == 0);
  }
}

void walk(const RawDict& dict) {
  RawDict::Cursor cursor;
  std::vector<RawDict::Entry> entries;
  bool changed = false;
  while (!cursor.ended && !changed) {
    entries.clear();
    Wait wait;
    FORKFUL_MUST(dict.walk(cursor, 64, entries, changed, wait) == Waited::done);
    for (const RawDict::Entry& entry : entries) {
      const std::string key(reinterpret_cast<const char*>(entry.key.data()), entry.key.size());
      check_value(static_cast<std::uint32_t>(std::stoul(key)), entry.value);
    }
  }
}

void play(const RawDict& dict, Actor& actor) {
  constexpr std::array<std::size_t, 6> kSizes{0, 60, 600, 4000, 5000, 20'000};
  std::mt19937 random(actor.life());
  bool found = false;
  RawDict::Buffer value;
  RawDict::Entry entry;
  for (std::uint32_t number = 0; !actor.over(); ++number) {
    const std::uint32_t key = random() % kKeys;
    const std::string name = std::to_string(key);
    Wait wait;
    switch (random() % 64) {
      case 0:
        walk(dict);
        break;
      case 1:
        FORKFUL_MUST(dict.pop_last(found, entry, wait) == Waited::done);
        break;
      case 2:
        if (random() % 32 == 0) FORKFUL_MUST(dict.clear(wait) == Waited::done);
        break;
      default:
        if (number % 3 == 0) {
          FORKFUL_MUST(dict.get(bytes_of(name), found, value, wait) == Waited::done);
          if (found) check_value(key, value);
        } else if (number % 5 == 0) {
          FORKFUL_MUST(dict.erase(bytes_of(name), found, &value, wait) == Waited::done);
          if (found) check_value(key, value);
        } else {
          const std::string text = make_value(key, number, random() % (kSizes[random() % 6] + 1));
          FORKFUL_MUST(dict.set({bytes_of(name)}, bytes_of(text), RawDict::Only::always, found,
                                &value, wait) == Waited::done);
          if (found) check_value(key, value);
        }
    }
    actor.step();
  }
}

class DictStorm : public testing::TestWithParam<int> {};

TEST_P(DictStorm, tears_no_value_and_leaves_it_whole) {
  if (test::kThreadSanitizer) GTEST_SKIP() << "many forks";
  {
    const RawDict first = RawDict::create();
  }
  const std::uint64_t used = arena::check_heap();
  RawDict dict = RawDict::create();
  Cast cast(std::vector<Script>(kPlayers, [&](Actor& actor) { play(dict, actor); }));
  Storm storm(GetParam() != 0 ? "dict with stops" : "dict", 300, [&] { return cast.steps(); });
  while (storm.rages() && !HasFailure()) {
    const auto part = storm.draw(cast.size());
    if (storm.chance(static_cast<std::uint32_t>(GetParam()))) {
      cast.stop(storm, part);
    } else {
      cast.replace(storm, part);
    }
  }
  cast.call_end();
  cast.await_end(storm);
  dict.check();
  walk(dict);
  storm.report("keys=" + std::to_string(dict.size()));
  dict = RawDict();
  expect_flat_heap(used);
}

INSTANTIATE_TEST_SUITE_P(, DictStorm, testing::Values(0, 15),
                         [](const auto& stops) { return stops.param ? "with_stops" : "of_kills"; });

}  // namespace
}  // namespace forkful::chaos
