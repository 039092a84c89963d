"""The example's CBOR against the vectors of our own.

Usage: python_cbor.py EXAMPLES_DIRECTORY VECTORS_JSON
"""

import json
import sys

sys.path.insert(0, sys.argv[1])
import cbor  # noqa: E402


def beyond(item):
    """Whether an item holds what the example has no type for: floats, or keys
    that are containers."""
    try:
        cbor.loads(item)
    except cbor.Malformed as problem:
        return "float" in str(problem) or "ascend" in str(problem)
    return False


def main():
    vectors = json.load(open(sys.argv[2], encoding="utf-8"))
    read = 0
    for vector in vectors["accepted"] + vectors["rfc8949_appendix_a"]:
        item = bytes.fromhex(vector["hex"])
        if beyond(item):
            continue
        if cbor.dumps(cbor.loads(item)) != item:
            sys.exit(f"not written as read: {vector['hex']}")
        read += 1
    for vector in vectors["refused"]:
        try:
            cbor.loads(bytes.fromhex(vector["hex"]))
        except cbor.Malformed:
            continue
        sys.exit(f"read, though it is malformed: {vector['hex']}")
    print(f"{read} items read, {len(vectors['refused'])} refused")
    if read < 20 or not vectors["refused"]:
        sys.exit("too few to mean anything")


if __name__ == "__main__":
    main()
