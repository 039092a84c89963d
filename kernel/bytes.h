#ifndef REENACT_KERNEL_BYTES_H_
#define REENACT_KERNEL_BYTES_H_

#include <string>
#include <string_view>

namespace reenact {

// Bytes that somebody owns, and a look at bytes that somebody else owns.
//
// std::string, not std::vector: most states and keys fit into its inline
// buffer, and RocksDB and Abseil speak it. A char is a byte here, not a letter.
using Bytes = std::string;
using BytesView = std::string_view;

}  // namespace reenact

#endif  // REENACT_KERNEL_BYTES_H_
