// list(range) is the range as text: "[1, 2, 3]".
#pragma once

#include <sstream>
#include <string>
#include <utility>

std::string list(const auto& items) {
  std::ostringstream text;
  const char* gap = "";
  for (const auto& item : items) text << std::exchange(gap, ", ") << item;
  return "[" + text.str() + "]";
}
