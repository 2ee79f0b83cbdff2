// A member of the model of holdings: it does what it is told with the handles that it has.
#pragma once

#include <forkful/bytes/cell.hpp>
#include <forkful/bytes/queue.hpp>
#include <map>
#include <vector>

#include "models/cast.hpp"

namespace forkful::models {

using base::Offset;
using Serial = std::uint64_t;

enum class Sort : std::uint64_t { cell, queue, parcel };

inline constexpr std::size_t kMostNames = 3;

struct Name {
  Sort sort;
  Offset offset;
  Serial serial;
};

// A message's bytes: whom it names, and filler.
struct Letter {
  std::uint64_t number;
  std::uint64_t names;
  Name name[kMostNames];
};

class Holder {
 public:
  enum What : std::uint64_t {
    kCreate,
    kAdopt,
    kDrop,
    kSend,
    kReceive,
    kMakeParcel,
    kPinParcel,
    kEndParcel,
    kInvite
  };
  Answer perform(const Call& call);

 private:
  [[nodiscard]] bytes::ByteQueue queue(Serial serial) const;
  [[nodiscard]] std::vector<bytes::Shared> shares_in(const Call& call, std::size_t from) const;
  Answer keep(const bytes::Shared& made);
  Answer send_letter(const Call& call) const;
  Answer receive_letter(const Call& call);

  // This process's handles, whichever member it is.
  std::map<Serial, bytes::Shared> mine_;
  std::map<Serial, bytes::Parcel> parcels_;
};

}  // namespace forkful::models
