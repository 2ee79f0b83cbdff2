// The marker's words: decimal numbers with commas, in the order in which parse() reads them.
// Whoever starts a process writes it, and init() in the started one reads it.
#include "process/marker.hpp"

#include <cstdio>
#include <locale>
#include <sstream>

namespace forkful::process {

std::vector<kernel::Fd> Marker::lower_descriptors() {
  std::vector<kernel::Fd> lowered;
  for (int* fd : {&invitation.arena_fd, &invitation.liveness_fd, &lifelines.parent, &lifelines.root,
                  &lifelines.root_process}) {
    if (*fd < 0 || !kernel::is_beyond_limit(*fd)) continue;
    lowered.push_back(kernel::duplicate(*fd));
    *fd = lowered.back().get();
  }
  return lowered;
}

std::vector<int> Marker::descriptors() const {
  std::vector<int> all;
  for (const int fd : {invitation.arena_fd, invitation.liveness_fd, lifelines.parent,
                       lifelines.root, lifelines.root_process, server}) {
    if (fd >= 0) all.push_back(fd);
  }
  return all;
}

bool Marker::renumber(const std::vector<int>& numbers) {
  std::size_t next = 0;
  for (int* fd : {&invitation.arena_fd, &invitation.liveness_fd, &lifelines.parent, &lifelines.root,
                  &lifelines.root_process, &server}) {
    if (*fd < 0) continue;
    if (next == numbers.size()) return false;
    *fd = numbers[next++];
  }
  return true;
}

std::string Marker::words() const {
  // Room for nine numbers at their longest.
  char text[144];
  std::snprintf(text, sizeof text, "%d,%d,%d,%d,%d,%d,%u,%u,%llu", server, invitation.arena_fd,
                invitation.liveness_fd, lifelines.parent, lifelines.root, lifelines.root_process,
                lifelines.root_member.bits, invitation.member.bits,
                static_cast<unsigned long long>(invitation.nonce));
  return text;
}

std::string Marker::text() const { return std::string(kMarkerName) + "=" + words(); }

bool Marker::parse(const char* words) {
  std::istringstream from(words);
  // A program's own locale may group digits.
  from.imbue(std::locale::classic());
  char comma = 0;
  from >> server >> comma >> invitation.arena_fd >> comma >> invitation.liveness_fd >> comma >>
      lifelines.parent >> comma >> lifelines.root >> comma >> lifelines.root_process >> comma >>
      lifelines.root_member.bits >> comma >> invitation.member.bits >> comma >> invitation.nonce;
  return !from.fail();
}

}  // namespace forkful::process
