// Messages that wait in a world's directory until the world takes them in.

#ifndef REENACT_EXECUTORS_INBOX_H_
#define REENACT_EXECUTORS_INBOX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "reenact/base/bytes.h"
#include "reenact/base/status.h"
#include "reenact/kernel/config.h"
#include "reenact/kernel/effects/effect.h"
#include "reenact/kernel/event.h"
#include "reenact/world/world.h"

namespace reenact {

namespace posix {
class Directory;
}

// One message: a canonical CBOR map, spec/executors.md has its keys. Of an
// input everything but the position goes along.
Bytes EncodeMessage(const Input& input);
// InvalidArgument: what is wrong. Unimplemented: of a later version.
absl::StatusOr<Input> DecodeMessage(BytesView item);

// The name of the file that an effect's message goes to: event_id and index in
// decimal digits of fixed width, so that messages of one world are in its
// order, then the idempotency key.
std::string MessageName(const OpenEffect& effect);

// The longest message, as a file.
inline constexpr std::size_t kMessageBytesMax = 16 << 20;

// Puts a message into `inbox/` of the world in `world_directory`, under `name`:
// whole, synced, replacing one of that name. The world may be running.
//
// FailedPrecondition: there is no world. InvalidArgument: it is too long.
// ResourceExhausted, Unavailable, PermissionDenied: what the system said. After
// one of these it is not there, unless `placing`, if not null, was set: then it
// may be.
//
// Thread safety: any thread, any process.
absl::Status PutIntoInbox(const std::string& world_directory,
                          const std::string& name, const Input& input,
                          bool* placing = nullptr);

// The messages of a world's inbox, in the order of their names, as a world
// pulls them. Each is an input with the message's submission id, which is the
// idempotency key that the sender had, so one that comes twice is admitted once
// within the dedupe horizon.
//
//   REENACT_ASSIGN_OR_RETURN(auto inbox, InboxSource::Open(path, config));
//   REENACT_RETURN_IF_ERROR(world->Feed(*inbox));      // durable from here on
//   REENACT_RETURN_IF_ERROR(inbox->RemoveDelivered());
//
// What dies in between finds the same files again. A file that is no message,
// or one that the world would not take, is moved to `inbox/refused/`, so that
// it does not stop the others.
//
// Thread safety: none. One process at a time: the one that has the world open.
class InboxSource final : public InputSource {
 public:
  // `config` is the world's: what messages are checked against.
  // FailedPrecondition: there is no world, or its inbox is no directory.
  static absl::StatusOr<std::unique_ptr<InboxSource>> Open(
      const std::string& world_directory, WorldConfig config);

  // False once no message is left that was not delivered. More may come, then
  // the next call finds them.
  absl::StatusOr<bool> Next(std::vector<Input>* row) override;

  // Removes the files of all that Next() has delivered.
  // REQUIRES: all of it is durable: Feed() returned OK since.
  absl::Status RemoveDelivered();

  std::uint64_t delivered() const { return delivered_count_; }
  // What was moved away, and why: "NAME: ...".
  const std::vector<std::string>& refused() const { return refused_; }

 private:
  InboxSource(std::shared_ptr<const posix::Directory> inbox,
              WorldConfig config);

  absl::Status List();
  absl::StatusOr<Input> Read(const std::string& name) const;
  absl::Status Refuse(const std::string& name, const absl::Status& why);

  // Its own inbox, also once another world has the name of its own.
  const std::shared_ptr<const posix::Directory> inbox_;
  const std::string directory_;  // the way through it
  const WorldConfig config_;
  std::vector<std::string> waiting_;  // the next one last
  std::set<std::string> delivered_;
  std::uint64_t delivered_count_ = 0;
  std::vector<std::string> refused_;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_INBOX_H_
