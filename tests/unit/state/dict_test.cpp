// RawDict against a model, and its edges.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <forkful/bytes/dict.hpp>
#include <forkful/errors.hpp>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include "arena/heap.hpp"
#include "arena/membership.hpp"
#include "unit/state/texts.hpp"

namespace forkful::test {
namespace {

TEST(Dict, keeps_values_of_every_length_and_the_order_of_their_keys) {
  Texts dict;
  std::vector<std::string> keys;
  for (const std::size_t length : {0, 1, 8, 16, 17, 40, 48, 49, 100, 4096, 4097, 100'000}) {
    keys.push_back("key " + std::to_string(length));
    EXPECT_FALSE(dict.set(keys.back(), std::string(length, 'x')));
    dict.check();
  }
  EXPECT_EQ(dict.keys(), keys);
  for (const std::string& key : keys) {
    const auto value = dict.get(key);
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(*value, std::string(std::stoul(key.substr(4)), 'x'));
  }
  EXPECT_FALSE(dict.get("another").has_value());
  EXPECT_EQ(dict.size(), keys.size());
}

TEST(Dict, a_value_may_take_another_form_where_its_key_stays) {
  Texts dict;
  dict.set("first", "1");
  dict.set("changing", "");
  dict.set("last", "3");
  for (const std::size_t length :
       {48, 49, 5000, 10, 70'000, 4096, 70'001, 0, 4096, 100, 17, 5000}) {
    EXPECT_TRUE(dict.set("changing", std::string(length, 'y')));
    dict.check();
    EXPECT_EQ(dict.get("changing"), std::string(length, 'y'));
  }
  EXPECT_EQ(dict.keys(), (std::vector<std::string>{"first", "changing", "last"}));
}

TEST(Dict, sets_only_where_a_key_is_or_is_not) {
  Texts dict;
  EXPECT_FALSE(dict.set("key", "one", bytes::RawDict::Only::if_present));
  EXPECT_EQ(dict.size(), 0u);
  EXPECT_FALSE(dict.set("key", "one", bytes::RawDict::Only::if_absent));
  EXPECT_TRUE(dict.set("key", "two", bytes::RawDict::Only::if_absent));
  EXPECT_EQ(dict.get("key"), "one");
  EXPECT_TRUE(dict.set("key", "two", bytes::RawDict::Only::if_present));
  EXPECT_EQ(dict.get("key"), "two");
}

TEST(Dict, gives_a_key_back_in_the_form_that_it_was_given_in_first) {
  Texts dict;
  dict.set("1", "x", bytes::RawDict::Only::always, "True");
  dict.set("1", "y", bytes::RawDict::Only::always, "1.0");
  EXPECT_EQ(dict.keys(), std::vector<std::string>{"True"});
  EXPECT_EQ(dict.pop_last(), (std::pair<std::string, std::string>{"True", "y"}));
}

TEST(Dict, takes_the_last_one_first) {
  Texts dict;
  for (int i = 0; i < 100; ++i) dict.set(std::to_string(i), std::string(i * 100, 'z'));
  for (int i = 99; i >= 0; --i) {
    EXPECT_EQ(dict.pop_last(), (std::pair{std::to_string(i), std::string(i * 100, 'z')}));
    dict.check();
  }
  EXPECT_FALSE(dict.pop_last().has_value());
}

TEST(Dict, refuses_a_key_that_is_too_long_and_takes_the_longest) {
  Texts dict;
  const std::string longest(bytes::RawDict::kMostKeyBytes, 'k');
  dict.set(longest, "value");
  EXPECT_EQ(dict.get(longest), "value");
  EXPECT_THROW(dict.set(longest + "k", "value"), std::length_error);
  EXPECT_FALSE(dict.get(longest + "k").has_value());
}

TEST(Dict, says_when_its_keys_have_changed_in_the_middle_of_a_walk) {
  Texts dict;
  for (int i = 0; i < 10; ++i) dict.set(std::to_string(i), "x");
  bytes::RawDict::Cursor cursor;
  std::vector<bytes::RawDict::Entry> entries;
  EXPECT_EQ(dict.walk(cursor, 3, entries), 3);
  dict.set("5", "another value");
  EXPECT_EQ(dict.walk(cursor, 3, entries), 3);
  dict.set("10", "x");
  EXPECT_EQ(dict.walk(cursor, 3, entries), -1);
}

TEST(Dict, can_be_emptied_and_filled_again) {
  {
    const Texts first;  // what the first one takes and keeps
    for (int i = 0; i < 300; ++i) first.set(std::to_string(i), std::string(5000, 'v'));
  }
  const std::uint64_t before = arena::heap_use().used_bytes;
  {
    Texts dict;
    for (int round = 0; round < 5; ++round) {
      for (int i = 0; i < 3000; ++i) dict.set(std::to_string(i), std::string(i % 7 * 900, 'v'));
      dict.check();
      dict.clear();
      dict.check();
      EXPECT_EQ(dict.size(), 0u);
      EXPECT_LE(arena::heap_use().used_bytes, before + (16 << 10));
    }
    for (int i = 0; i < 3000; ++i) dict.set(std::to_string(i), "v");
    for (int i = 0; i < 3000; ++i) EXPECT_TRUE(dict.erase(std::to_string(i)).has_value());
    EXPECT_LE(arena::heap_use().used_bytes, before + (16 << 10));
    dict.check();
    for (int i = 0; i < 300; ++i) dict.set(std::to_string(i), std::string(5000, 'v'));
  }
  EXPECT_EQ(arena::heap_use().used_bytes, before);
}

// What a directory above a cell needs: many segments.
TEST(Dict, grows_to_many_keys) {
  Texts dict;
  constexpr int kMany = 300'000;
  for (int i = 0; i < kMany; ++i) dict.set(std::to_string(i), std::to_string(-i));
  dict.check();
  EXPECT_EQ(dict.size(), static_cast<std::uint64_t>(kMany));
  for (int i = 0; i < kMany; i += 17) EXPECT_EQ(dict.get(std::to_string(i)), std::to_string(-i));
  for (int i = 0; i < kMany; ++i) {
    if (i % 3 != 0) dict.erase(std::to_string(i));
  }
  dict.check();
  dict.clear();
  dict.check();
}

// As Python's dict: a map, and the order in which keys came.
class Model {
 public:
  bool set(const std::string& key, const std::string& value) {
    const auto [at, is_new] = values_.insert_or_assign(key, value);
    if (is_new) order_.push_back(key);
    return !is_new;
  }
  std::optional<std::string> get(const std::string& key) const {
    const auto at = values_.find(key);
    return at == values_.end() ? std::nullopt : std::optional(at->second);
  }
  std::optional<std::string> erase(const std::string& key) {
    auto value = get(key);
    values_.erase(key);
    std::erase(order_, key);
    return value;
  }
  void clear() {
    values_.clear();
    order_.clear();
  }
  const std::vector<std::string>& keys() const { return order_; }

 private:
  std::map<std::string, std::string> values_;
  std::vector<std::string> order_;
};

class DictModel : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(seeds, DictModel, testing::Range(1, 9));

TEST_P(DictModel, does_as_a_dict_does) {
  std::mt19937 random(static_cast<unsigned>(GetParam()));
  const int most_keys = GetParam() % 2 == 0 ? 40 : 1500;
  const auto upto = [&](int most) {
    return static_cast<int>(random() % static_cast<unsigned>(most));
  };
  const auto some_key = [&] {
    return std::string(upto(12) == 0 ? 200 : 1, 'k') + std::to_string(upto(most_keys));
  };
  const auto some_value = [&] {
    constexpr int kLongest[] = {10, 60, 600, 4200, 9000};
    return std::string(upto(kLongest[upto(5)]), static_cast<char>('a' + upto(26)));
  };
  Texts dict;
  Model model;
  for (int step = 0; step < 6000; ++step) {
    const std::string key = some_key();
    switch (upto(step % 2000 < 1000 ? 8 : 5)) {
      case 0:
      case 1:
        EXPECT_EQ(dict.erase(key), model.erase(key));
        break;
      case 2:
        EXPECT_EQ(dict.get(key), model.get(key));
        break;
      case 3:
        if (model.keys().empty()) {
          EXPECT_FALSE(dict.pop_last().has_value());
        } else {
          const std::string last = model.keys().back();
          EXPECT_EQ(dict.pop_last(), (std::pair{last, *model.erase(last)}));
        }
        break;
      default: {
        const std::string value = some_value();
        EXPECT_EQ(dict.set(key, value), model.set(key, value));
      }
    }
    if (upto(1500) == 0) {
      dict.clear();
      model.clear();
    }
    if (step % 97 == 0) {
      dict.check();
      ASSERT_EQ(dict.keys(), model.keys()) << step;
    }
  }
}

}  // namespace
}  // namespace forkful::test
