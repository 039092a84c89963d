"""Deterministic CBOR (RFC 8949 section 4.2.1), as much as executors need.

None, bool, int, bytes, str, list and dict; no floats, no tags. What dumps()
writes is canonical, and loads() takes nothing else.
"""

DEPTH_MAX = 64


class Malformed(ValueError):
    """Bytes that are not one canonical item of these types."""


def _head(major, argument):
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 24:
            return bytes([major << 5 | argument])
        if argument < 1 << 8 * size:
            return bytes([major << 5 | code]) + argument.to_bytes(size, "big")
    raise OverflowError(f"{argument} has more than 64 bits")


def dumps(value):
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return _head(3, len(text)) + text
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(dumps, value))
    if isinstance(value, dict):
        pairs = sorted((dumps(key), dumps(item)) for key, item in value.items())
        return _head(5, len(pairs)) + b"".join(k + v for k, v in pairs)
    raise TypeError(f"no CBOR for {type(value).__name__}")


def loads(data):
    value, at = _item(data, 0, 0)
    if at != len(data):
        raise Malformed("something after the end")
    return value


def _argument(data, at):
    """The argument of the head at `at`, and where its item goes on."""
    info = data[at] & 31
    if info < 24:
        return info, at + 1
    if info > 27:
        raise Malformed("no definite length")
    size = 1 << (info - 24)
    argument = int.from_bytes(data[at + 1 : at + 1 + size], "big")
    if at + 1 + size > len(data):
        raise Malformed("the end is missing")
    if len(_head(0, argument)) != 1 + size:
        raise Malformed("not the shortest form")
    return argument, at + 1 + size


def _item(data, at, depth):
    if depth > DEPTH_MAX or at >= len(data):
        raise Malformed("too deep" if depth > DEPTH_MAX else "the end is missing")
    major = data[at] >> 5
    if major == 7:
        simple = {0xF4: False, 0xF5: True, 0xF6: None}
        if data[at] not in simple:
            raise Malformed("a float, or a simple value that is not allowed")
        return simple[data[at]], at + 1
    argument, at = _argument(data, at)
    if major < 2:
        return (argument, -1 - argument)[major], at
    if major < 4:
        if argument > len(data) - at:
            raise Malformed("the end is missing")
        string = data[at : at + argument]
        try:
            return (string if major == 2 else string.decode()), at + argument
        except UnicodeDecodeError:
            raise Malformed("text that is no UTF-8") from None
    if major == 4:
        items = []
        for _ in range(argument):
            value, at = _item(data, at, depth + 1)
            items.append(value)
        return items, at
    if major == 6:
        raise Malformed("a tag")
    pairs, last = {}, b""
    for _ in range(argument):
        begin = at
        key, at = _item(data, at, depth + 1)
        if data[begin:at] <= last or isinstance(key, (list, dict)):
            raise Malformed("map keys that do not ascend")
        last = data[begin:at]
        pairs[key], at = _item(data, at, depth + 1)
    return pairs, at
