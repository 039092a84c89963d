// Effects of kind message.send.

#ifndef REENACT_EXECUTORS_MESSAGE_EXECUTOR_H_
#define REENACT_EXECUTORS_MESSAGE_EXECUTOR_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "reenact/base/status.h"
#include "reenact/executors/executor.h"
#include "reenact/kernel/event.h"
#include "reenact/world/world.h"

namespace reenact {

// Where the messages for one name go.
//
// Thread safety: any thread.
class MessageTarget {
 public:
  virtual ~MessageTarget() = default;

  // OK: `input` is durable there, or was already. The submission id is what
  // tells. Unavailable, ResourceExhausted, DeadlineExceeded: not now.
  // Cancelled: the task was. With an error, `reach` is set to kPerhaps if it
  // may come to be there, or be there, all the same.
  virtual absl::Status Deliver(const Input& input, Task& task,
                               Reach* reach) = 0;
};

// A world of this process, which somebody drives: Start(), or Run() again and
// again. `world` outlives the target.
std::unique_ptr<MessageTarget> ToWorld(World* world);

// The world in `directory`, whoever runs it, now or later; see inbox.h.
std::unique_ptr<MessageTarget> ToInbox(std::string directory);

// Sends an event to another world on this machine, or to the same one, once:
// the idempotency key is the event's submission id.
//
//   MessageExecutor messages;
//   messages.Add("billing", ToWorld(billing));
//
//   params: {"to": "billing", "reducer": "account", "key": "ann",
//            "schema": "charge", "payload": {"cents": 250}}
//
// Thread safety: any thread.
class MessageExecutor final : public Executor {
 public:
  MessageExecutor();
  ~MessageExecutor() override;

  // From now on `name` is `target`; it replaces another of that name.
  void Add(std::string name, std::unique_ptr<MessageTarget> target);
  // From now on nothing goes to `name`, and nothing is on its way there any
  // more. Closing a world first ends what waits for it.
  void Remove(std::string_view name);

  std::string_view kind() const override { return "message.send"; }
  Answer Execute(Task& task) override;
  Amounts LeastUsage() const override { return {{"calls", 1}}; }
  // The world that it is for.
  std::string PeerOf(const OpenEffect& effect) const override;

 private:
  class Targets;

  const std::unique_ptr<Targets> targets_;
};

}  // namespace reenact

#endif  // REENACT_EXECUTORS_MESSAGE_EXECUTOR_H_
