// What a value is on its way to another process.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <forkful/event.hpp>
#include <forkful/lock.hpp>
#include <forkful/queue.hpp>
#include <forkful/value.hpp>
#include <limits>
#include <list>
#include <map>
#include <set>
#include <unordered_map>

namespace forkful::test {

struct Point {
  int x;
  double y;
  bool operator==(const Point&) const = default;
};
enum class Colour : std::uint8_t { red, green };
struct Record {
  std::string name;
  std::optional<int> age;
  std::vector<Point> path;
  std::map<std::string, Colour> colours;
  std::variant<int, std::string> either;
  bool operator==(const Record&) const = default;
};
struct Pointing {
  int number;
  const int* pointer;
};
struct Sixteen {
  int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o;
  std::string p;
  bool operator==(const Sixteen&) const = default;
};
struct ThirtyTwo {
  int a[2], b, c, d, e, f, g, h, i, j, k, l, m, n, o;
  Sixteen p;
  int A, B, C, D, E, F, G, H, I, J, K, L, M, N, O;
  std::string P;
  bool operator==(const ThirtyTwo&) const = default;
};
struct ThirtyThree {
  int a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p;
  int A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P;
  int one_more;
};
struct Nothing {};
struct Tag {
  bool operator==(const Tag&) const = default;
};
struct OtherTag {
  bool operator==(const OtherTag&) const = default;
};

// C arrays.
struct Cell {
  char name[32];
  double m[3][3];
  bool operator==(const Cell&) const = default;
};
struct Padded {
  char initial;
  Point path[2];
  std::string words[2][2];
  Colour colour = Colour::green;
  int big[4096];
  bool operator==(const Padded&) const = default;
};
struct ArrayOfPointers {
  int* all[2];
};
struct ArrayBesideQueue {
  char name[32];
  Queue<int> queue;
};
struct ArrayBesideConstant {
  char name[32];
  const int number;
};

// Members that `{}` does not initialise, and others that bring their initialiser along.
struct Handles {
  int number;
  Queue<int> queue;
  Event done;
  std::string text;
  bool operator==(const Handles&) const = default;
};
struct Initialised {
  Queue<int> queue = Queue<int>(3);
  int number = 5;
  bool operator==(const Initialised&) const = default;
};
struct Constant {
  const int number;
  std::string text;
  bool operator==(const Constant&) const = default;
};

// Base classes.
struct Tagged : Tag, OtherTag {
  int number;
  std::string text;
  bool operator==(const Tagged&) const = default;
};
struct TaggedArray : Tag {
  short numbers[3];
  bool operator==(const TaggedArray&) const = default;
};
struct TaggedHandle : Tag {
  Queue<int> queue;
  bool operator==(const TaggedHandle&) const = default;
};
struct OnlyTagged : Tag {
  bool operator==(const OnlyTagged&) const = default;
};
struct Derived : Point {
  int z;
};
struct OnlyDerived : Point {};

class Packed {
 public:
  Packed() = default;
  explicit Packed(int value) : value_(value) {}
  bool operator==(const Packed&) const = default;

 private:
  int value_ = 0;
};
class Guarded {
 public:
  explicit Guarded(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] const std::string& text() const { return text_; }
  bool operator==(const Guarded&) const = default;

 private:
  std::string text_;
};

// Its codec writes what it has just made.
struct Rows {
  std::size_t count = 0;
  bool operator==(const Rows&) const = default;
};
struct Picture {
  std::vector<double> pixels;
  std::string title;
  std::vector<std::vector<char>> layers;
  bool operator==(const Picture&) const = default;
};

}  // namespace forkful::test

template <>
inline constexpr bool forkful::enable_bytewise<forkful::test::Packed> = true;
template <>
struct forkful::codec<forkful::test::Rows> {
  static void write(Writer& to, const test::Rows& rows) {
    detail::write_value(to, std::vector<std::size_t>(rows.count, rows.count));
  }
  static test::Rows read(Reader& from) {
    const auto all = detail::read_value<std::vector<std::size_t>>(from);
    for (const std::size_t each : all) EXPECT_EQ(each, all.size());
    return {all.size()};
  }
};
template <>
struct forkful::codec<forkful::test::Guarded> {
  static void write(Writer& to, const test::Guarded& value) {
    detail::write_value(to, value.text());
  }
  static test::Guarded read(Reader& from) {
    return test::Guarded(detail::read_value<std::string>(from));
  }
};

namespace forkful::test {
namespace {

template <class T>
T there_and_back(const T& value) {
  Writer to;
  detail::write_value(to, value);
  Reader from(to.view());
  T back = detail::read_value<T>(from);
  EXPECT_TRUE(from.rest().empty());
  return back;
}

template <class T>
void expect_unchanged(const T& value) {
  EXPECT_EQ(there_and_back(value), value);
}

static_assert(Codable<Record> && Codable<Nothing> && Codable<Queue<int>> && Codable<Value<int>>);
static_assert(Codable<std::vector<std::map<int, Record>>>);
static_assert(!Codable<int*> && !Codable<Pointing> && !Codable<std::string_view> &&
              !Codable<const char*> && !Codable<std::vector<int*>> && !Codable<std::span<int>> &&
              !Codable<std::unique_ptr<int>>);
static_assert(!Codable<ThirtyThree> && !Codable<ArrayOfPointers> && !Codable<ArrayBesideQueue> &&
              !Codable<ArrayBesideConstant> && !Codable<Derived> && !Codable<OnlyDerived>);
static_assert(detail::is_bytewise<std::array<int, 3>>() && !detail::is_bytewise<Point>() &&
              detail::is_bytewise<Cell>() && detail::is_bytewise<TaggedArray>() &&
              !detail::is_bytewise<Padded>());

TEST(Codec, numbers_keep_their_value) {
  expect_unchanged(-7);
  expect_unchanged(std::numeric_limits<double>::infinity());
  expect_unchanged(true);
  expect_unchanged(Colour::green);
}

TEST(Codec, containers_keep_their_elements) {
  expect_unchanged(std::string("a\0b", 3));
  expect_unchanged(std::vector{1, 2, 3});
  expect_unchanged(std::vector{true, false, true});
  expect_unchanged(std::deque<std::string>{"a", "b"});
  expect_unchanged(std::list<int>{});
  expect_unchanged(std::set<std::string>{"x", "y"});
  expect_unchanged(std::multimap<int, int>{{1, 1}, {1, 2}});
  expect_unchanged(std::unordered_map<std::string, std::vector<int>>{{"k", {1}}});
  expect_unchanged(std::array<std::string, 2>{"a", "b"});
}

TEST(Codec, sums_and_products_keep_their_members) {
  expect_unchanged(std::pair<int, std::string>{1, "x"});
  expect_unchanged(std::tuple<int, std::string, std::tuple<>>{1, "x", {}});
  expect_unchanged(std::optional<std::string>());
  expect_unchanged(std::optional<std::string>("x"));
  expect_unchanged(std::variant<int, std::string>("x"));
  expect_unchanged(std::chrono::milliseconds(5));
}

TEST(Codec, structs_are_taken_apart_member_by_member) {
  expect_unchanged(Point{1, 2.5});
  expect_unchanged(Record{"n", 3, {{1, 2}}, {{"r", Colour::red}}, "z"});
  const Sixteen sixteen{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, "16"};
  expect_unchanged(sixteen);
  ThirtyTwo more{};
  more.a[1] = 1;
  more.o = 15;
  more.p = sixteen;
  more.A = 17;
  more.P = "32";
  expect_unchanged(more);
  expect_unchanged(Constant{7, "x"});
}

TEST(Codec, arrays_in_structs_keep_their_elements) {
  expect_unchanged(Cell{"name", {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}}});
  Padded padded{'x', {{1, 2.5}, {3, 4.5}}, {{"a", "b"}, {"c", "d"}}, Colour::red, {}};
  padded.big[4095] = 7;
  expect_unchanged(padded);
  expect_unchanged(std::vector<Padded>(2, padded));
}

TEST(Codec, empty_bases_of_structs_take_no_place) {
  expect_unchanged(Tagged{{}, {}, 1, "x"});
  expect_unchanged(TaggedArray{{}, {1, 2, 3}});
  expect_unchanged(OnlyTagged{});
  expect_unchanged(TaggedHandle{{}, Queue<int>()});
}

TEST(Codec, handles_in_structs_arrive_as_the_same_object) {
  expect_unchanged(Handles{1, Queue<int>(), Event(), "x"});
  expect_unchanged(Initialised{});
}

TEST(Codec, classes_travel_by_bytes_or_by_a_codec_of_their_own) {
  expect_unchanged(Packed(5));
  expect_unchanged(std::vector{Packed(1), Packed(2)});
  expect_unchanged(Guarded("text"));
  expect_unchanged(std::vector{Guarded("a"), Guarded("b")});
}

TEST(Codec, handles_arrive_as_the_same_object) {
  expect_unchanged(Queue<int>());
  expect_unchanged(Lock());
  expect_unchanged(Event());
  expect_unchanged(Value<int>(1));
  expect_unchanged(std::vector<Queue<Queue<int>>>(1));
}

// The bytes of a value as they are sent when large pieces are not copied, and how many those are.
template <class T>
std::pair<std::vector<std::byte>, std::size_t> in_parts(const T& value) {
  Writer to;
  std::vector<Writer::Referred> referred;
  to.refer_into(referred);
  detail::write_value(to, value);
  std::vector<std::byte> all;
  for (const detail::Bytes part : to.parts()) all.insert(all.end(), part.begin(), part.end());
  return {all, referred.size()};
}

template <class T>
void expect_same_bytes(const T& value, std::size_t pieces) {
  Writer plain;
  detail::write_value(plain, value);
  const auto [bytes, referred] = in_parts(value);
  EXPECT_EQ(referred, pieces);
  EXPECT_TRUE(std::ranges::equal(bytes, plain.view()));
  Reader from(bytes);
  EXPECT_EQ(detail::read_value<T>(from), value);
}

TEST(Codec, large_pieces_stay_where_they_are_until_they_are_sent) {
  const std::size_t large = bytes::kInlineBytes + 1;
  expect_same_bytes(std::string(large, 'x'), 1);
  expect_same_bytes(std::string(large - 1, 'x'), 0);
  expect_same_bytes(Picture{std::vector(large, 0.5), "small", {{}, std::vector(large, 'a'), {'b'}}},
                    2);
  expect_same_bytes(std::map<std::string, std::string>{{"a", std::string(large, 'a')}, {"b", "b"}},
                    1);
}

TEST(Codec, what_a_codec_of_its_own_has_made_is_copied) {
  expect_same_bytes(Rows{2000}, 0);
  expect_same_bytes(std::vector{Rows{2000}, Rows{1}}, 0);
}

TEST(Codec, numbers_that_are_not_aligned_arrive) {
  expect_unchanged(std::pair<char, std::vector<double>>{'x', {1, 2, 3}});
  expect_unchanged(std::tuple<std::string, std::vector<int>, std::string>{"x", {1, 2}, "yz"});
}

TEST(Codec, large_values_pass_through_a_queue) {
  const Queue<Picture> queue;
  const Picture picture{std::vector(100'000, 0.5), "title", {std::vector(70'000, 'a'), {}}};
  queue.put(picture);
  queue.put(Picture{{}, "empty", {}});
  EXPECT_EQ(queue.get(), picture);
  EXPECT_EQ(queue.get().title, "empty");
  const Queue<std::array<double, 10'000>> arrays;
  std::array<double, 10'000> array{};
  array.back() = 1;
  arrays.put(array);
  EXPECT_EQ(arrays.get(), array);
}

TEST(Codec, bytes_that_end_too_early_are_an_error) {
  Writer to;
  detail::write_value(to, Record{"name", 3, {{1, 2}}, {{"r", Colour::red}}, "z"});
  for (std::size_t size = 0; size < to.size(); ++size) {
    Reader from(to.view().first(size));
    EXPECT_THROW(detail::read_value<Record>(from), Error) << size;
  }
}

TEST(Codec, a_claimed_length_allocates_nothing) {
  Writer to;
  to.raw(std::numeric_limits<std::uint64_t>::max());
  Reader from(to.view());
  EXPECT_THROW(detail::read_value<std::vector<double>>(from), Error);
}

TEST(Codec, a_bool_of_any_byte_is_true_or_false) {
  for (const int each : {0, 1, 2, 255}) {
    const auto byte = static_cast<std::byte>(each);
    detail::Reader from({&byte, 1});
    const bool value = detail::read_value<bool>(from);
    EXPECT_EQ(static_cast<int>(value), each == 0 ? 0 : 1);
  }
  const std::byte optional[] = {std::byte{2}, std::byte{7}};
  detail::Reader from(optional);
  EXPECT_EQ(detail::read_value<std::optional<char>>(from), char{7});
}

TEST(Codec, an_alternative_that_does_not_exist_is_an_error) {
  Writer to;
  to.raw(std::uint32_t{9});
  to.raw(1);
  Reader from(to.view());
  EXPECT_THROW((detail::read_value<std::variant<int, std::string>>(from)), Error);
}

}  // namespace
}  // namespace forkful::test
