#include "reenact/executors/blob_executor.h"

#include <catch2/catch.hpp>

#include "tests/executors/fake_task.h"
#include "tests/journal/temporary_directory.h"
#include "tests/support/status_matchers.h"

namespace reenact {
namespace {

using Catch::Matchers::Contains;
using cbor::Value;

TEST_CASE("a blob is put by one effect and got by another", "[blobs]") {
  const TemporaryDirectory directory;
  const auto blobs = BlobStore::Open(directory / "blobs").value();
  const Value digest = Value::ByteString(Bytes(Hash("text").view()));
  BlobPutExecutor put;
  BlobGetExecutor get;
  FakeTask putting(Value::Map({{"text", "text"}}), blobs.get());
  const Answer stored = put.Execute(putting);
  CHECK(PayloadOf(stored) == Value::Map({{"digest", digest}, {"size", 4}}));
  CHECK(stored.evidence.at(0) == Evidence{"blob", Hash("text"), 4});

  FakeTask getting(Value::Map({{"digest", digest}}), blobs.get());
  CHECK(BytesIn(get.Execute(getting), "bytes") == "text");

  FakeTask less(Value::Map({{"digest", digest}, {"max", 3}}), blobs.get());
  const Answer refused = get.Execute(less);
  CHECK(refused.status == ReceiptStatus::kError);
  CHECK_FALSE(refused.transient);

  WriteWholeFile(blobs->PathOf(Hash("text")), "txet");
  CHECK_THAT(ErrorOf(get.Execute(getting)), Contains("digest"));
}

TEST_CASE("blob effects that make no sense are refused", "[blobs]") {
  const TemporaryDirectory directory;
  const auto blobs = BlobStore::Open(directory / "blobs").value();
  BlobPutExecutor put;
  BlobGetExecutor get;
  const auto error = [&](Executor& executor, const Value& params,
                         BlobStore* store) {
    FakeTask task(params, store);
    const Answer answer = executor.Execute(task);
    CHECK(answer.status == ReceiptStatus::kError);
    return ErrorOf(answer);
  };
  CHECK_THAT(error(put, Value::Map(), blobs.get()), Contains("\"text\""));
  CHECK_THAT(error(put, Value::Map({{"text", 1}}), blobs.get()),
             Contains("a text"));
  CHECK_THAT(error(put, Value::Map({{"text", "x"}}), nullptr),
             Contains("no blob store"));
  CHECK_THAT(error(get, Value::Map(), blobs.get()), Contains("\"digest\""));
  CHECK_THAT(error(get, Value::Map({{"digest", "x"}}), blobs.get()),
             Contains("32 bytes"));
}

}  // namespace
}  // namespace reenact
