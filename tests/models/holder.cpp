#include "models/holder.hpp"

#include <algorithm>
#include <cstring>
#include <forkful/errors.hpp>

#include "arena/membership.hpp"
#include "arena/shares.hpp"
#include "support/messages.hpp"

namespace forkful::models {
namespace {

using bytes::Shared;

Shared adopt(const Name& name) {
  const Shared::Id id{arena::header().family_id, name.offset, name.serial};
  return name.sort == Sort::queue ? Shared(bytes::ByteQueue::adopt(id))
                                  : Shared(bytes::Cell::adopt(id));
}

}  // namespace

bytes::ByteQueue Holder::queue(Serial serial) const {
  return bytes::ByteQueue::adopt(mine_.at(serial).id());
}
std::vector<Shared> Holder::shares_in(const Call& call, std::size_t from) const {
  std::vector<Shared> shares;
  for (std::size_t i = 0; i < kMostNames; ++i) {
    if (call.with[from + i] != 0) shares.push_back(mine_.at(call.with[from + i]));
  }
  return shares;
}
Answer Holder::keep(const Shared& made) {
  const Shared::Id id = made.id();
  mine_.emplace(id.serial, made);
  return {.words = {id.offset, id.serial}};
}

Answer Holder::perform(const Call& call) {
  const auto& with = call.with;
  switch (call.what) {
    case kCreate:
      if (with[0] == 0) return keep(bytes::ByteQueue::create());
      return keep(bytes::Cell::create(with[0]));
    case kAdopt:
      try {
        const Name name{static_cast<Sort>(with[0]), with[1], with[2]};
        mine_.insert_or_assign(name.serial, adopt(name));
        return {};
      } catch (const Error&) {
        return {.refused = true};
      }
    case kDrop:
      mine_.erase(with[0]);
      parcels_.erase(with[0]);
      return {};
    case kSend:
      return send_letter(call);
    case kReceive:
      return receive_letter(call);
    case kMakeParcel: {
      const bytes::Parcel parcel(shares_in(call, 0));
      parcels_.emplace(parcel.id().serial, parcel);
      return {.words = {parcel.id().offset, parcel.id().serial}};
    }
    case kPinParcel:
      parcels_.at(with[0]).sent();
      return {};
    case kEndParcel:
      bytes::Parcel::received({arena::header().family_id, with[1], with[2]});
      return {};
    default: {
      const auto child = arena::reserve_member(0, sync::self(), {});
      arena::give_shares(child, shares_in(call, 0));
      require(arena::withdraw_member(child), "nobody has come");
      return {};
    }
  }
}

Answer Holder::send_letter(const Call& call) const {
  const std::vector<Shared> shares = shares_in(call, 3);
  std::vector<std::byte> bytes(std::max<std::size_t>(call.with[2], sizeof(Letter)));
  Letter letter{call.with[1], shares.size(), {}};
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const Shared::Id id = shares[i].id();
    letter.name[i] = {static_cast<Sort>(call.with[6 + i]), id.offset, id.serial};
  }
  std::memcpy(bytes.data(), &letter, sizeof letter);
  const bytes::Bytes part(bytes);
  Wait wait(Deadline::poll());
  const auto how = queue(call.with[0]).put(std::span(&part, 1), wait, shares);
  return {.refused = how != bytes::ByteQueue::Put::sent};
}

Answer Holder::receive_letter(const Call& call) {
  bytes::ByteMessage message;
  if (test::get(queue(call.with[0]), message, Deadline::poll()) !=
      bytes::ByteQueue::Got::received) {
    return {.refused = true};
  }
  Letter letter;
  std::memcpy(&letter, message.bytes().data(), sizeof letter);
  for (std::size_t i = 0; call.with[1] != 0 && i < letter.names; ++i) {
    mine_.insert_or_assign(letter.name[i].serial, adopt(letter.name[i]));
  }
  return {.words = {letter.number}};
}

}  // namespace forkful::models
