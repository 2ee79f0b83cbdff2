// What a shared object is called in views and messages of the family: a name of one's own, or the
// place in the program where it was made.
//
//   forkful::Queue<Order> orders(1000, "orders");
//   forkful::Lock lock;                            // called "server.cpp:17"
//
// Threads: a value; any. A family keeps 511 different labels of at most 55 bytes for its life; an
// object made with a longer one has its beginning, and with one too many none.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <string>
#include <string_view>

namespace forkful {
inline namespace v0 {

class Label {
 public:
  static constexpr std::size_t kMostBytes = 55;

  Label() = default;  // none
  Label(std::string_view name) { append(name); }
  Label(const char* name) : Label(std::string_view(name)) {}
  Label(const std::string& name) : Label(std::string_view(name)) {}
  Label(const std::source_location& where) : Label(where.file_name(), where.line()) {}
  // A place: the file's name without its folders, and the line.
  Label(std::string_view file, std::uint_least32_t line) {
    char digits[12] = ":";
    const auto end = std::to_chars(digits + 1, digits + sizeof digits, line);
    const std::string_view number(digits, static_cast<std::size_t>(end.ptr - digits));
    file.remove_prefix(file.rfind('/') + 1);
    append(file.substr(0, kMostBytes - number.size()));
    append(number);
  }

  [[nodiscard]] std::string_view text() const { return {text_, size_}; }

 private:
  void append(std::string_view text) {
    std::size_t taken = std::min(text.size(), kMostBytes - size_);
    // A character of several bytes is taken whole or not at all.
    while (taken > 0 && taken < text.size() && (text[taken] & 0xc0) == 0x80) --taken;
    std::memcpy(text_ + size_, text.data(), taken);
    size_ += taken;
  }

  char text_[kMostBytes]{};
  std::size_t size_ = 0;
};

}  // namespace v0
}  // namespace forkful
