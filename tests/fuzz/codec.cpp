// The C++ codec. What could be read is written and read again: the bytes must come out the same.
#include <array>
#include <chrono>
#include <deque>
#include <filesystem>
#include <forkful/detail/codec/codec.hpp>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>

#include "base/check.hpp"
#include "fuzzers.hpp"

namespace forkful::fuzz::codec {
namespace {

enum class Colour : std::uint8_t { red, green };
struct Point {
  int x;
  std::int64_t y;
};
struct Flags {
  bool first;
  char letter;
  bool second;
};
struct Record {
  std::string name;
  std::optional<int> age;
  std::vector<Point> path;
  std::map<std::string, Colour> colours;
  std::variant<int, std::string, std::monostate> either;
  Flags flags[2];
};
using Tree = std::map<std::string, std::vector<std::variant<std::int64_t, Record>>>;

template <class... T>
struct Types {};
using All =
    Types<int, bool, std::string, Flags, std::vector<std::uint16_t>, std::vector<std::string>,
          std::vector<Point>, std::deque<bool>, std::list<std::optional<std::string>>,
          std::array<std::string, 3>, std::map<int, std::vector<int>>,
          std::unordered_map<std::string, int>, std::set<std::string>,
          std::pair<Colour, std::string>, std::tuple<char, std::vector<char>, short>,
          std::variant<bool, std::string, Point>, std::optional<std::optional<bool>>,
          std::chrono::milliseconds, std::filesystem::path, Record, std::vector<Record>, Tree,
          std::vector<std::vector<std::vector<std::string>>>>;

template <class T>
Input written(const T& value) {
  detail::Writer to;
  detail::write_value(to, value);
  return input_of(to.view());
}

template <class T>
void read_as(Bytes input) {
  detail::Reader from(input);
  const T value = detail::read_value<T>(from);
  const Input once = written(value);
  detail::Reader again(once);
  const Input twice = written(detail::read_value<T>(again));
  FORKFUL_CHECK(again.rest().empty());
  FORKFUL_CHECK(once.size() == twice.size());
}

template <class... T>
void read_nth(unsigned which, Bytes input, Types<T...>) {
  unsigned index = 0;
  ((which % sizeof...(T) == index++ ? read_as<T>(input) : void()), ...);
}

template <class T, class... All>
constexpr unsigned index_of(Types<All...>) {
  unsigned index = 0;
  (void)((std::is_same_v<T, All> || (++index, false)) || ...);
  return index;
}

template <class T>
Input seed(const T& value) {
  Input input{static_cast<std::byte>(index_of<T>(All{}))};
  const Input bytes = written(value);
  input.insert(input.end(), bytes.begin(), bytes.end());
  return input;
}

}  // namespace

void read(Bytes input) {
  Choices from(input);
  const unsigned which = from.pick(256);
  tolerate([&] { read_nth(which, from.rest(), All{}); });
}

std::vector<Input> seeds() {
  const Record record{.name = "a name",
                      .age = 3,
                      .path = {{1, 2}, {3, 4}},
                      .colours = {{"red", Colour::red}, {"leaf", Colour::green}},
                      .either = "either",
                      .flags = {{true, 'x', false}, {}}};
  return {seed(7),
          seed(true),
          seed(std::string("text")),
          seed(Flags{true, 'a', false}),
          seed(std::vector<std::uint16_t>{1, 2, 3}),
          seed(std::vector<std::string>{"", "one", "two"}),
          seed(std::vector<Point>{{1, 2}, {3, 4}}),
          seed(std::deque<bool>{true, false}),
          seed(std::list<std::optional<std::string>>{"a", std::nullopt, "b"}),
          seed(std::array<std::string, 3>{"a", "bc", ""}),
          seed(std::map<int, std::vector<int>>{{1, {2, 3}}, {4, {}}}),
          seed(std::unordered_map<std::string, int>{{"a", 1}, {"b", 2}}),
          seed(std::set<std::string>{"a", "b"}),
          seed(std::pair<Colour, std::string>{Colour::green, "leaf"}),
          seed(std::tuple<char, std::vector<char>, short>{'a', {'b', 'c'}, 9}),
          seed(std::variant<bool, std::string, Point>{Point{1, 2}}),
          seed(std::optional<std::optional<bool>>{std::optional<bool>{true}}),
          seed(std::chrono::milliseconds(5)),
          seed(std::filesystem::path("/a/b")),
          seed(record),
          seed(std::vector<Record>{record, record}),
          seed(Tree{{"leaves", {std::int64_t{1}, record}}, {"none", {}}}),
          seed(std::vector<std::vector<std::vector<std::string>>>{{{"deep"}, {}}, {}})};
}

}  // namespace forkful::fuzz::codec
