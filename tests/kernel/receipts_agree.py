"""Computes spec/vectors/effects by itself and compares.

Usage: receipts_agree.py VECTORS_DIRECTORY

Digests are hashlib's, CBOR is cbor2's, signatures are checked if the module
cryptography is there. Exits with 77, which ctest reports as skipped, if cbor2 is
not.
"""

import hashlib
import os
import sys

try:
    import cbor2
except ImportError:
    print("skipped: the module cbor2 (python3-cbor2) cannot be imported")
    sys.exit(77)
try:
    from cryptography.hazmat.primitives.asymmetric import ed25519
except ImportError:
    ed25519 = None


def stanzas(path):
    """The stanzas of a file: lines "name value", separated by empty lines."""
    found, inside = [], False
    for line in open(path, encoding="utf-8").read().splitlines():
        if not line or line.startswith("#"):
            inside = False
            continue
        if not inside:
            found.append({})
        inside = True
        name, _, value = line.partition(" ")
        found[-1][name] = value
    return found


def u64(value):
    return value.to_bytes(8, "big")


def sized(value):
    return u64(len(value)) + value


def digest(domain, *parts):
    hasher = hashlib.blake2b(digest_size=32)
    hasher.update(bytes([len(domain)]) + domain)
    for part in parts:
        hasher.update(part)
    return hasher.digest()


def expect(what, computed, recorded):
    if computed.hex() != recorded:
        sys.exit(f"{what}:\n  computed {computed.hex()}\n  recorded {recorded}")


def check_identity(vector):
    place = u64(int(vector["event_id"])) + u64(int(vector["index"]))
    # By rule 2 the place is in the intent hash instead of the key.
    identity = vector.get("rule") == "2"
    key = digest(
        b"reenact.idempotency.v2" if identity else b"reenact.idempotency.v1",
        sized(bytes.fromhex(vector["world_id"])),
        sized(bytes.fromhex(vector["business"])),
        b"" if identity else place,
    )
    expect(vector["what"] + ": idempotency key", key, vector["key"])
    intent = digest(
        b"reenact.intent.v2" if identity else b"reenact.intent.v1",
        sized(vector["kind"].encode()),
        sized(bytes.fromhex(vector["params"])),
        sized(vector["capability"].encode()),
        key,
        place if identity else b"",
    )
    expect(vector["what"] + ": intent hash", intent, vector["intent"])


def check_receipt(vector):
    receipt = cbor2.loads(bytes.fromhex(vector["hex"]))
    expect(vector["what"], cbor2.dumps(receipt, canonical=True), vector["hex"])
    signature = receipt.pop(6, None)
    signed = digest(
        b"reenact.receipt.v1",
        sized(bytes.fromhex(vector["world_id"])),
        sized(cbor2.dumps(receipt, canonical=True)),
    )
    expect(vector["what"] + ": signed digest", signed, vector["signed"])
    if signature is not None and ed25519 is not None:
        seed = ed25519.Ed25519PrivateKey.from_private_bytes(
            bytes.fromhex(vector["seed"])
        )
        expect(vector["what"] + ": signature", seed.sign(signed), signature.hex())


def main():
    identities = stanzas(os.path.join(sys.argv[1], "identity.txt"))
    receipts = stanzas(os.path.join(sys.argv[1], "receipts.txt"))
    for vector in identities:
        check_identity(vector)
    for vector in receipts:
        check_receipt(vector)
    print(f"{len(identities)} identities and {len(receipts)} receipts compared")
    if not identities or not receipts:
        sys.exit("too few to mean anything")


if __name__ == "__main__":
    main()
