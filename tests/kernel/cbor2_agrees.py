"""Reads what our encoder wrote with cbor2 and writes it again, canonically.

Usage: cbor2_agrees.py VECTORS_JSON SAMPLES_PROGRAM

Exits with 77, which ctest reports as skipped, if cbor2 is not there.
"""

import json
import subprocess
import sys
from collections.abc import Mapping

try:
    import cbor2
except ImportError:
    print("skipped: the module cbor2 (python3-cbor2) cannot be imported")
    sys.exit(77)


def parts(value):
    """`value` and everything in it."""
    yield value
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from parts(item)
    elif isinstance(value, Mapping):
        for key, member in value.items():
            yield from parts(key)
            yield from parts(member)


def in_older_order(mapping):
    """Whether the order of RFC 7049, which cbor2 writes, shorter keys first,
    is that of RFC 8949, which we write, bytewise."""
    keys = [cbor2.dumps(key, canonical=True) for key in mapping]
    return sorted(keys) == sorted(keys, key=lambda key: (len(key), key))


def comparable(value):
    """Whether cbor2 can hold `value` and means to write it as we do."""
    for part in parts(value):
        if isinstance(part, float) and 32768 <= abs(part) <= 65504:
            return False  # written as 32 bits by cbor2 5.4 though 16 suffice
        if isinstance(part, Mapping):
            # Python takes 1, 1.0 and True for one key.
            if any(isinstance(key, (float, bool)) for key in part):
                return False
            if not in_older_order(part):
                return False
    return True


def main():
    vectors = json.load(open(sys.argv[1], encoding="utf-8"))
    lines = [v["hex"] for v in vectors["rfc8949_appendix_a"]]
    lines += [v["hex"] for v in vectors["accepted"]]
    lines += subprocess.run(
        [sys.argv[2]], check=True, capture_output=True, text=True
    ).stdout.split()
    compared = 0
    for line in lines:
        value = cbor2.loads(bytes.fromhex(line))
        if not comparable(value):
            continue
        compared += 1
        written = cbor2.dumps(value, canonical=True).hex()
        if written != line:
            sys.exit(f"cbor2 writes\n  {written}\nwhere we write\n  {line}")
    print(f"{compared} of {len(lines)} items compared")
    if compared < len(lines) / 2:
        sys.exit("too few to mean anything")


if __name__ == "__main__":
    main()
