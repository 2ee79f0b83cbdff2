// What a re-executed process, and forkful-host, find in their environment.
#include <array>
#include <cstring>
#include <string>

#include "base/check.hpp"
#include "fuzzers.hpp"
#include "process/host.hpp"
#include "process/marker.hpp"

namespace forkful::fuzz::markers {
namespace {

using process::HostModule;
using process::Marker;

std::string words_of(const std::string& text) { return text.substr(text.find('=') + 1); }

// What could be parsed is written, and parsed again to the same.
void parse_marker(const char* words) {
  Marker marker;
  if (!marker.parse(words)) return;
  const std::string text = marker.text();
  Marker again;
  FORKFUL_CHECK(again.parse(words_of(text).c_str()));
  FORKFUL_CHECK(again.text() == text);
  (void)marker.descriptors();
}

// A ticket, whose descriptors have other numbers where it is taken up: so many of them, one by one.
void renumber(Choices from) {
  std::vector<int> numbers(from.pick(9));
  for (int& each : numbers) each = from.number<std::int32_t>();
  const Bytes rest = from.rest();
  Marker marker;
  if (!marker.parse(std::string(reinterpret_cast<const char*>(rest.data()), rest.size()).c_str())) {
    return;
  }
  const std::size_t had = marker.descriptors().size();
  FORKFUL_CHECK(marker.renumber(numbers) == (had <= numbers.size()));
  FORKFUL_CHECK(marker.descriptors().size() <= had);
}

void parse_module(const char* words) {
  const auto module = HostModule::parse(words);
  if (!module) return;
  const std::string text = module->text();
  const auto again = HostModule::parse(words_of(text).c_str());
  FORKFUL_CHECK(again && again->text() == text);
  tolerate([&] { (void)detail::function_at<void()>(module->entry); });
}

Input seed(char kind, const std::string& text) {
  Input input{static_cast<std::byte>(kind)};
  for (const char each : words_of(text)) input.push_back(static_cast<std::byte>(each));
  return input;
}

}  // namespace

void read(Bytes input) {
  Choices from(input);
  const unsigned kind = from.pick(3);
  if (kind == 2) return renumber(from);
  const Bytes rest = from.rest();
  const std::string words(reinterpret_cast<const char*>(rest.data()), rest.size());
  if (kind == 1) {
    parse_module(words.c_str());
  } else {
    parse_marker(words.c_str());
  }
}

std::vector<Input> seeds() {
  Marker marker;
  marker.invitation = {3, 4, base::MemberId::of(2, 1), 0x0123456789abcdef};
  marker.lifelines = {5, 6, 7, base::MemberId::of(1, 1)};
  Marker server = marker;
  server.server = 9;
  const HostModule module{detail::place_of(&read), "/a/library.so"};
  Input ticket = seed(2, marker.text());
  const std::array<std::byte, 1 + 5 * sizeof(std::int32_t)> numbers{std::byte{5}};
  ticket.insert(ticket.begin() + 1, numbers.begin(), numbers.end());
  return {seed(0, marker.text()), seed(0, server.text()), seed(1, module.text()), ticket};
}

}  // namespace forkful::fuzz::markers
