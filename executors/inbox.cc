#include "reenact/executors/inbox.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "reenact/base/posix_file.h"
#include "reenact/executors/new_file.h"
#include "reenact/kernel/authority/admission.h"
#include "reenact/kernel/cbor/cbor.h"

namespace reenact {
namespace {

constexpr std::string_view kMagic = "reenact.message";
constexpr std::uint64_t kVersion = 1;
constexpr std::string_view kSuffix = ".msg";
constexpr std::size_t kEventIdDigits = 20;
constexpr std::size_t kIndexDigits = 10;

std::string Digits(std::uint64_t number, std::size_t width) {
  std::string digits = std::to_string(number);
  digits.insert(0, width - std::min(width, digits.size()), '0');
  return digits;
}

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         text.substr(text.size() - end.size()) == end;
}

std::string InboxOf(const std::string& world_directory) {
  return world_directory + "/inbox";
}

// Opened, so that all that follows is done in the same world.
absl::StatusOr<posix::Directory> OpenWorld(const std::string& world_directory) {
  absl::StatusOr<posix::Directory> world =
      posix::Directory::Open(world_directory);
  if (world.ok()) {
    REENACT_ASSIGN_OR_RETURN(const posix::Kind marker,
                             posix::KindOfPath(world->path() + "/WORLD"));
    if (marker == posix::Kind::kFile) return world;
  } else if (!absl::IsNotFound(world.status())) {
    return world.status();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("'", world_directory, "': there is no world in it"));
}

}  // namespace

// --- messages ----------------------------------------------------------------

Bytes EncodeMessage(const Input& input) {
  Bytes out;
  cbor::Encoder encoder(&out);
  encoder.Map(9);
  encoder.Unsigned(0);
  encoder.Text(kMagic);
  encoder.Unsigned(1);
  encoder.Unsigned(kVersion);
  encoder.Unsigned(2);
  encoder.ByteString(input.submission_id);
  encoder.Unsigned(3);
  encoder.Text(input.event.reducer);
  encoder.Unsigned(4);
  encoder.Text(input.event.key);
  encoder.Unsigned(5);
  encoder.Text(input.event.schema);
  encoder.Unsigned(6);
  encoder.Unsigned(input.priority);
  encoder.Unsigned(7);
  encoder.Integer(input.time.value);
  encoder.Unsigned(8);
  encoder.Raw(input.event.payload);
  return out;
}

absl::StatusOr<Input> DecodeMessage(BytesView item) {
  cbor::Reader reader(item);
  Input input;
  const std::uint64_t size = reader.Map();
  reader.ExpectKey(0);
  if (reader.Text() != kMagic && reader.ok()) reader.Fail("not a message");
  reader.ExpectKey(1);
  const std::uint64_t version = reader.Unsigned();
  REENACT_RETURN_IF_ERROR(reader.status());
  if (version > kVersion) {
    return absl::UnimplementedError(
        absl::StrCat("version ", version, " is newer than this one reads"));
  }
  if (size != 9 || version != kVersion) reader.Fail("not a message's fields");
  reader.ExpectKey(2);
  input.submission_id = reader.ByteString();
  if (input.submission_id.empty() ||
      input.submission_id.size() > kSubmissionIdBytesMax) {
    reader.Fail("a submission id of the wrong size");
  }
  reader.ExpectKey(3);
  input.event.reducer = reader.Text();
  reader.ExpectKey(4);
  input.event.key = reader.Text();
  reader.ExpectKey(5);
  input.event.schema = reader.Text();
  reader.ExpectKey(6);
  const std::uint64_t priority = reader.Unsigned();
  if (priority >= kPriorities) reader.Fail("no such priority");
  input.priority = static_cast<std::uint8_t>(priority);
  reader.ExpectKey(7);
  input.time = LogicalTime{reader.Integer()};
  reader.ExpectKey(8);
  input.event.payload = reader.Item();
  reader.ExpectEnd();
  REENACT_RETURN_IF_ERROR(reader.status());
  return input;
}

std::string MessageName(const OpenEffect& effect) {
  return absl::StrCat(Digits(effect.event_id.value, kEventIdDigits), "-",
                      Digits(effect.index, kIndexDigits), "-",
                      effect.idempotency_key.ToHex(), ToAbsl(kSuffix));
}

absl::Status PutIntoInbox(const std::string& world_directory,
                          const std::string& name, const Input& input,
                          bool* placing) {
  const Bytes message = EncodeMessage(input);
  if (message.size() > kMessageBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the message has ", message.size(),
                     " bytes; the limit is ", kMessageBytesMax));
  }
  REENACT_ASSIGN_OR_RETURN(const posix::Directory world,
                           OpenWorld(world_directory));
  const std::string inbox = InboxOf(world.path());
  REENACT_ASSIGN_OR_RETURN(const posix::Kind kind, posix::KindOfPath(inbox));
  if (kind != posix::Kind::kDirectory) {
    REENACT_RETURN_IF_ERROR(posix::MakeDirectory(inbox));
    REENACT_RETURN_IF_ERROR(posix::SyncDirectory(world.path()));
  }
  REENACT_ASSIGN_OR_RETURN(NewFile file, NewFile::In(inbox));
  REENACT_RETURN_IF_ERROR(file.Append(message));
  if (placing != nullptr) *placing = true;
  return file.Place(inbox + "/" + name);
}

// --- the source --------------------------------------------------------------

InboxSource::InboxSource(std::shared_ptr<const posix::Directory> inbox,
                         WorldConfig config)
    : inbox_(std::move(inbox)),
      directory_(inbox_->path()),
      config_(std::move(config)) {}

absl::StatusOr<std::unique_ptr<InboxSource>> InboxSource::Open(
    const std::string& world_directory, WorldConfig config) {
  REENACT_ASSIGN_OR_RETURN(const posix::Directory world,
                           OpenWorld(world_directory));
  const std::string name = InboxOf(world.path());
  REENACT_RETURN_IF_ERROR(posix::MakeDirectory(name));
  REENACT_RETURN_IF_ERROR(posix::SyncDirectory(world.path()));
  REENACT_ASSIGN_OR_RETURN(posix::Directory inbox,
                           posix::Directory::Open(name));
  REENACT_RETURN_IF_ERROR(NewFile::RemoveAbandoned(inbox.path()));
  return std::unique_ptr<InboxSource>(new InboxSource(
      std::make_shared<const posix::Directory>(std::move(inbox)),
      std::move(config)));
}

absl::Status InboxSource::List() {
  std::error_code error;
  std::filesystem::directory_iterator at(directory_, error);
  for (; !error && at != std::filesystem::directory_iterator();
       at.increment(error)) {
    std::string name = at->path().filename().string();
    if (EndsWith(name, kSuffix) && !NewFile::IsTemporaryName(name) &&
        delivered_.count(name) == 0) {
      waiting_.push_back(std::move(name));
    }
  }
  if (error) {
    return posix::ErrnoStatus(error.value(), directory_, "cannot list it");
  }
  std::sort(waiting_.begin(), waiting_.end(), std::greater<>());
  return absl::OkStatus();
}

absl::StatusOr<Input> InboxSource::Read(const std::string& name) const {
  REENACT_ASSIGN_OR_RETURN(
      const std::optional<Bytes> bytes,
      posix::ReadSmallFile(directory_ + "/" + name, kMessageBytesMax));
  if (!bytes.has_value()) return absl::NotFoundError("it is gone");
  REENACT_ASSIGN_OR_RETURN(Input input, DecodeMessage(*bytes));
  // Under another name it would be another message, and this one twice.
  if (!EndsWith(name, input.submission_id + std::string(kSuffix))) {
    return absl::InvalidArgumentError("it has the name of another message");
  }
  REENACT_RETURN_IF_ERROR(CheckAdmissible(input, config_));
  return input;
}

absl::Status InboxSource::Refuse(const std::string& name,
                                 const absl::Status& why) {
  const std::string away = directory_ + "/refused";
  REENACT_RETURN_IF_ERROR(posix::MakeDirectory(away));
  REENACT_RETURN_IF_ERROR(
      posix::RenameDurably(directory_ + "/" + name, away + "/" + name));
  refused_.push_back(name + ": " + std::string(ToStd(why.message())));
  return absl::OkStatus();
}

absl::StatusOr<bool> InboxSource::Next(std::vector<Input>* row) {
  if (waiting_.empty()) REENACT_RETURN_IF_ERROR(List());
  while (!waiting_.empty()) {
    const std::string name = std::move(waiting_.back());
    waiting_.pop_back();
    absl::StatusOr<Input> input = Read(name);
    if (input.ok()) {
      row->push_back(*std::move(input));
      delivered_.insert(name);
      ++delivered_count_;
      return true;
    }
    if (absl::IsUnavailable(input.status()) ||
        absl::IsResourceExhausted(input.status()) ||
        absl::IsPermissionDenied(input.status())) {
      return input.status();  // the machine's fault, not the message's
    }
    if (absl::IsNotFound(input.status())) continue;
    REENACT_RETURN_IF_ERROR(Refuse(name, input.status()));
  }
  return false;
}

absl::Status InboxSource::RemoveDelivered() {
  for (const std::string& name : delivered_) {
    REENACT_RETURN_IF_ERROR(posix::RemoveFile(directory_ + "/" + name));
  }
  if (!delivered_.empty()) {
    REENACT_RETURN_IF_ERROR(posix::SyncDirectory(directory_));
  }
  delivered_.clear();
  return absl::OkStatus();
}

}  // namespace reenact
