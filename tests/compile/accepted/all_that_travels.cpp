// What the snippets of rejected/ come close to, and what may be sent.
#include <cstdint>
#include <forkful/forkful.hpp>
#include <string>
#include <vector>

namespace {

struct Point {
  int x;
  double y;
};
struct Record {
  std::string name;
  char code[4];
  std::vector<Point> path;
};

int twice(int x) { return 2 * x; }
double twice(double x) { return 2 * x; }
std::size_t count(const std::string& word, const Record& record) {
  return word.size() + record.path.size();
}
struct Scaler {
  int factor = 2;
  auto scale(forkful::Pool& pool) {
    return pool.map([factor = factor](int x) { return factor * x; }, std::vector{1, 2, 3});
  }
};

}  // namespace

int main(int argc, char** argv) {
  forkful::init(argc, argv);
  forkful::Pool pool(2);
  const std::vector<int> doubled =
      pool.map([](int x) { return twice(x); }, std::vector<int>{1, 2, 3});
  (void)pool.map(static_cast<double (*)(double)>(twice), std::vector{1.0});
  (void)pool.map(forkful::bind(count, "word"), std::vector<Record>(3));
  (void)pool.map([point = Point{1, 2.0}, big = true](long n) { return big ? n * point.x : n; },
                 std::vector<long>{1});
  pool.apply([](std::string&& text) { text += "!"; }, "moved");
  (void)Scaler{}.scale(pool);

  forkful::Queue<Record> records;
  records.put({.name = "a", .code = "abc", .path = {{1, 2.0}}});
  forkful::Process child([](forkful::Queue<Record>& from) { (void)from.get(); }, records);
  forkful::Process with_name({.name = "x"}, [](int) {}, 1);
  forkful::Process with_all({"x", true}, [](int) {}, 1);
  forkful::Process with_none({}, [](int) {}, 1);
  forkful::Value<std::uint64_t> hits(0);
  ++*hits.lock();
  return static_cast<int>(doubled.size());
}
