#include "tools/reenact/blob_check.h"

#include <map>
#include <memory>
#include <variant>

#include "absl/strings/str_cat.h"
#include "reenact/executors/blob_store.h"
#include "reenact/journal/archive.h"
#include "reenact/journal/entry.h"
#include "reenact/kernel/cbor/cbor_value.h"
#include "reenact/kernel/effects/receipt.h"
#include "reenact/kernel/hash.h"
#include "reenact/kernel/ids.h"

namespace reenact::tools {
namespace {

// By digest, with the first input that brought a receipt with it.
using References = std::map<Digest, InputId>;

void AddFrom(const cbor::Value& value, InputId input, References* references) {
  if (value.IsArray()) {
    for (const cbor::Value& item : value.items()) {
      AddFrom(item, input, references);
    }
    return;
  }
  if (!value.IsMap()) return;
  for (const auto& [name, item] : value.pairs()) {
    if (name.IsText() && *name.AsText() == "blob" && item.IsBytes()) {
      const auto digest = Digest::FromBytes(*item.AsBytes());
      if (digest.ok()) references->emplace(*digest, input);
    }
    AddFrom(item, input, references);
  }
}

void AddFrom(const entry::ReceiptAppended& appended, References* references) {
  const Receipt& receipt = appended.receipt;
  if (receipt.status != ReceiptStatus::kOk) return;
  for (const Evidence& evidence : receipt.evidence) {
    if (evidence.name == "blob") {
      references->emplace(evidence.digest, appended.input);
    }
  }
  const auto payload = cbor::Value::Parse(receipt.payload);
  if (payload.ok()) AddFrom(*payload, appended.input, references);
}

absl::StatusOr<References> ReadReferences(const std::string& world) {
  REENACT_ASSIGN_OR_RETURN(const std::unique_ptr<Archive> archive,
                           Archive::Open(world));
  References references;
  REENACT_RETURN_IF_ERROR(archive->ScanEntries(
      0, [&references](const BlockHeader&, const Entry& entry, BytesView) {
        if (const auto* appended =
                std::get_if<entry::ReceiptAppended>(&entry)) {
          AddFrom(*appended, &references);
        }
        return absl::OkStatus();
      }));
  return references;
}

bool IsOfTheBlob(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsDataLoss(status) ||
         absl::IsFailedPrecondition(status);
}

}  // namespace

absl::StatusOr<BlobCheck> CheckBlobs(const std::string& world,
                                     const std::function<bool()>& cancelled) {
  REENACT_ASSIGN_OR_RETURN(const References references, ReadReferences(world));
  const BlobStore store = BlobStore::ToRead(world + "/blobs");
  BlobCheck check;
  for (const auto& [digest, input] : references) {
    if (cancelled && cancelled()) return absl::CancelledError("interrupted");
    ++check.blobs;
    const absl::Status status = store.Check(digest);
    if (status.ok()) continue;
    if (!IsOfTheBlob(status)) return status;
    check.problem = absl::StrCat(status.message(), "; the receipt of input ",
                                 input.value, " refers to it");
    break;
  }
  return check;
}

}  // namespace reenact::tools
