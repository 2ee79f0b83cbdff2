// A RawDict of texts.
#pragma once

#include <forkful/bytes/dict.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace forkful::test {

class Texts {
 public:
  using Raw = bytes::RawDict;

  std::optional<std::string> get(const std::string& key) const {
    bool found = false;
    Raw::Buffer value;
    Wait wait;
    (void)raw_.get(bytes_of(key), found, value, wait);
    return found ? std::optional(text_of(value)) : std::nullopt;
  }
  // Whether there was one.
  bool set(const std::string& key, const std::string& value, Raw::Only only = Raw::Only::always,
           const std::string& form = {}) const {
    bool found = false;
    Wait wait;
    (void)raw_.set({bytes_of(key), bytes_of(form)}, bytes_of(value), only, found, nullptr, wait);
    return found;
  }
  std::optional<std::string> erase(const std::string& key) const {
    bool found = false;
    Raw::Buffer value;
    Wait wait;
    (void)raw_.erase(bytes_of(key), found, &value, wait);
    return found ? std::optional(text_of(value)) : std::nullopt;
  }
  std::optional<std::pair<std::string, std::string>> pop_last() const {
    bool found = false;
    Raw::Entry entry;
    Wait wait;
    (void)raw_.pop_last(found, entry, wait);
    if (!found) return std::nullopt;
    return std::pair{text_of(entry.key), text_of(entry.value)};
  }
  void clear() const {
    Wait wait;
    (void)raw_.clear(wait);
  }
  // How many entries of a walk have come; -1: the keys have changed since it began.
  int walk(Raw::Cursor& cursor, std::size_t most, std::vector<Raw::Entry>& into) const {
    bool changed = false;
    Wait wait;
    into.clear();
    (void)raw_.walk(cursor, most, into, changed, wait);
    return changed ? -1 : static_cast<int>(into.size());
  }
  std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    Raw::Cursor cursor;
    std::vector<Raw::Entry> entries;
    while (!cursor.ended && walk(cursor, 50, entries) >= 0) {
      for (const Raw::Entry& entry : entries) keys.push_back(text_of(entry.key));
    }
    return keys;
  }
  [[nodiscard]] std::uint64_t size() const { return raw_.size(); }
  void check() const { raw_.check(); }

 private:
  static bytes::Bytes bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }
  static std::string text_of(const Raw::Buffer& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  Raw raw_ = Raw::create();
};

}  // namespace forkful::test
