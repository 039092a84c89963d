#!/usr/bin/env python3
"""Writes the fuzzers' seeds: tests/fuzz/make_corpus.py [--check]

They come from what the project promises to read: the vectors in spec/vectors,
the golden worlds in tests/golden, and examples. A seed is without the digests
that seal blocks, snapshots and slots, where the fuzzer puts them right itself.
Run it again when vectors or golden worlds change: --check, which a test runs,
fails if a seed is not what it would be. Needs the standard library only.
"""

import json
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "examples/executors"))
sys.dont_write_bytecode = True
import cbor  # noqa: E402  (the example's own)

DIGEST = 32
BYTES_MAX = 4096  # of a seed


def stanzas(name):
    """Those of spec/vectors/NAME, each a dictionary."""
    found, inside = [], False
    for line in (ROOT / "spec/vectors" / name).read_text().splitlines():
        if not line or line.startswith("#"):
            inside = False
            continue
        if not inside:
            found.append({})
        inside = True
        key, _, value = line.partition(" ")
        found[-1][key] = value
    return found


def vectors(name, key="hex"):
    return [bytes.fromhex(stanza[key]) for stanza in stanzas(name)
            if key in stanza]


def array(items):
    return bytes([0x98, len(items)]) + b"".join(items)


def cbor_seeds():
    lists = json.loads((ROOT / "spec/vectors/cbor.json").read_text())
    for name in ("rfc8949_appendix_a", "accepted"):
        items = [bytes.fromhex(vector["hex"]) for vector in lists[name]]
        yield name, array([item for item in items if len(item) < 200])
        yield name + "-longest", max(items, key=len)
    yield "nested", b"\x81" * 40 + b"\x01"
    yield "map", cbor.dumps({"a": [1, {"b": b"c"}], "": -7, "text": "\u00fc"})


def frame(kind, *members):
    item = cbor.dumps(dict(enumerate((kind,) + members)))
    return struct.pack(">I", len(item)) + item


def frame_seeds():
    intent, receipt = bytes(range(32)), vectors("effects/receipts.txt")[-1]
    yield "executor", b"".join((
        frame(0, [1, 2], "mail-2", ["mail.send", "fax"], 4),
        frame(3, intent), frame(5, intent, 7), frame(6, receipt),
        frame(9, "done")))
    yield "world", b"".join((
        frame(1, 1, bytes(16), 3, 30000, 8 << 20),
        frame(2, intent, intent, 7, 0, ["mailer", "a"], "mail.send", "mail",
              cbor.dumps({"to": "x"}), {"calls": 1}, -3, 1000000),
        frame(4, intent, 7, 1), frame(7, intent, 0, "closed"),
        frame(8, intent, 7, "accepted", ""), frame(10, "no such frame")))


def golden_blocks(world):
    """The stored blocks of a golden world."""
    data = (ROOT / "tests/golden" / world / "journal.cborseq").read_bytes()
    at = 0
    while at < len(data):
        size, begin = cbor._argument(data, at)
        at = begin + size
        yield data[begin:at]


def journal_seeds():
    kinds = {}
    for stanza in stanzas("journal/entries.txt"):
        kinds.setdefault(stanza["kind"], []).append(
            bytes.fromhex(stanza["hex"]))
    for kind, entries in kinds.items():
        yield kind, b"".join(entries)
    for number, block in enumerate(vectors("journal/blocks.txt")):
        yield "block-%d" % number, block[:-DIGEST]
    for world in ("counter", "torture-2-format-2"):
        blocks = [block[:-DIGEST] for block in golden_blocks(world)]
        fitting = [block for block in blocks if len(block) <= BYTES_MAX]
        yield world, max(fitting, key=len)


def snapshot_parts(path):
    """Header, queues and cells of a snapshot: without its end and digest."""
    data = path.read_bytes()[:-DIGEST]
    return data[:data.rindex(b"\xa3\x00\x63end")]


def snapshot_seeds():
    small = stanzas("snapshot/small.txt")[0]
    yield "header", bytes.fromhex(small["header"])
    for world in ("counter", "torture-2", "torture-2-format-2"):
        paths = (ROOT / "tests/golden" / world / "snapshots").iterdir()
        parts = [snapshot_parts(path) for path in sorted(paths)]
        smallest = min(parts, key=len)
        if len(smallest) <= 4 * BYTES_MAX:
            yield world, smallest
        whole = cbor_item(smallest, cbor_item(smallest, 0))
        yield "open-work-" + world, smallest[:whole]
    for number, slot in enumerate(vectors("journal/head.txt")):
        yield "slot-%d" % number, slot


def cbor_item(data, at):
    """Where the item at `at` ends."""
    head = data[at]
    major = head >> 5
    size, at = cbor._argument(data, at)
    if major in (2, 3):
        return at + size
    for _ in range({4: size, 5: 2 * size}.get(major, 0)):
        at = cbor_item(data, at)
    return at


def receipt_seeds():
    for number, receipt in enumerate(vectors("effects/receipts.txt")):
        yield "receipt-%d" % number, receipt
    yield "changes", b"".join(vectors("authority/grants.txt", "change"))
    for number, change in enumerate(vectors("authority/changes.txt")):
        yield "change-%d" % number, change
    yield "grants", vectors("authority/grants.txt", "books")[-1]
    for number, policy in enumerate(vectors("authority/policies.txt")):
        yield "policy-%d" % number, policy
    for path in sorted((ROOT / "examples/policies").glob("*.json")):
        # Comments are the tool's; what is left is what it hands on.
        lines = [line for line in path.read_text().splitlines()
                 if not line.lstrip().startswith("//")]
        yield path.stem, cbor.dumps(json.loads("\n".join(lines)))
    yield "rates", cbor.dumps({0: [3, 5, 1000]})
    yield "predicate", cbor.dumps({"path": "url", "host": ["*.example.com"]})
    yield "grant", cbor.dumps({
        "name": "crawler", "parent": "all", "kinds": ["http.*"], "where":
        [{"path": "url", "host": "example.com"}], "expires": 9,
        "limit": {"calls": 100}})
    yield "url", b"https://[2001:db8::1]:8443/a"
    yield "url-name", b"http://api.example.com/"


def row_seeds():
    sample = (ROOT / "examples/cases/sample.jsonl").read_bytes()
    yield "sample.jsonl", b"".join(sample.splitlines(True)[:6])
    yield "numbers.jsonl", (b'[0,-1,1.5,1e300,18446744073709551615]\r\n\n'
                            b'{"a":null,"b":[true,"\\u00fc\\ud83d\\ude00"]}')
    yield "quoted.csv", b'\xef\xbb\xbfa,b\r\n"x,y","two\nlines ""q"""\r\n\n1,'
    yield "items.cborseq", b"".join(
        cbor.dumps(row) for row in ({"a": 1}, [b"x", -9], "text", None))
    yield "text.lines", b"a\r\n\nb\xc3\xbc"


TARGETS = {"cbor": cbor_seeds, "frame": frame_seeds, "journal": journal_seeds,
           "snapshot": snapshot_seeds, "receipt": receipt_seeds,
           "rows": row_seeds}


def main():
    corpus = HERE / "corpus"
    wanted = {corpus / target / name: data
              for target, seeds in TARGETS.items() for name, data in seeds()}
    there = {path: path.read_bytes()
             for path in corpus.glob("*/*")} if corpus.is_dir() else {}
    if sys.argv[1:] == ["--check"]:
        wrong = sorted(str(path.relative_to(ROOT))
                       for path in wanted.keys() | there.keys()
                       if wanted.get(path) != there.get(path))
        if wrong:
            print("not as make_corpus.py writes them: " + ", ".join(wrong))
        return 1 if wrong else 0
    for path in there.keys() - wanted.keys():
        path.unlink()
    for path, data in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
