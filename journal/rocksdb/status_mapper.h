// What RocksDB's statuses are to a world.

#ifndef REENACT_JOURNAL_ROCKSDB_STATUS_MAPPER_H_
#define REENACT_JOURNAL_ROCKSDB_STATUS_MAPPER_H_

#include <string>
#include <utility>

#include "reenact/base/status.h"
#include "rocksdb/status.h"

namespace reenact {

// Statuses of a database whose directory has the name `path` and is open as
// `opened`, told with paths that start with the name's last part.
class StatusMapper {
 public:
  StatusMapper(const std::string& path, std::string opened)
      : opened_(std::move(opened)), name_(path.substr(path.rfind('/') + 1)) {}

  absl::Status operator()(const rocksdb::Status& status) const {
    return status.ok() ? absl::OkStatus() : Error(status);
  }
  std::string Message(const rocksdb::Status& status) const;

 private:
  absl::Status Error(const rocksdb::Status& status) const;

  std::string opened_;
  std::string name_;
};

}  // namespace reenact

#endif  // REENACT_JOURNAL_ROCKSDB_STATUS_MAPPER_H_
