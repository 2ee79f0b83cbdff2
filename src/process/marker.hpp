// What a re-executed process finds in its environment: descriptors, its name as a member, a nonce.
#pragma once

#include <string>
#include <vector>

#include "arena/membership.hpp"
#include "process/lifelines.hpp"

namespace forkful::process {

inline constexpr const char* kMarkerName = "FORKFUL_MEMBER";

struct Marker {
  arena::Invitation invitation;  // to the server of a forkserver context: no member
  Lifelines lifelines;
  int server = -1;  // the server's end of its socket; -1: this process is no server

  // Replaces descriptors beyond the limit, which may have been lowered since they were opened: no
  // execution hands those on. The answer holds the new ones open.
  [[nodiscard]] std::vector<kernel::Fd> lower_descriptors();
  // Its descriptors, which the executed program is to inherit.
  [[nodiscard]] std::vector<int> descriptors() const;
  [[nodiscard]] std::string words() const;
  // Its descriptors have these numbers here, in the order of descriptors(). False where there are
  // too few.
  [[nodiscard]] bool renumber(const std::vector<int>& numbers);
  // "NAME=words"
  [[nodiscard]] std::string text() const;
  // False where `words` are no marker's.
  [[nodiscard]] bool parse(const char* words);
};

}  // namespace forkful::process
