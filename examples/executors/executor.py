#!/usr/bin/env python3
"""An executor in another language: turns texts around.

Usage: executor.py SOCKET [--kind text.reverse] [--name reverser] [--count N]

Serves effects of one kind, whose parameters are {"text": ...}, for the world that
listens at SOCKET, until it says goodbye, or N receipts were judged. Speaks
spec/executor-protocol.md with nothing but Python's standard library.
"""

import argparse
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cbor  # noqa: E402

HELLO, WELCOME, OFFER, CLAIM, GRANTED, RENEW = range(6)
RECEIPT, CANCEL, VERDICT, BYE, ERROR = range(6, 11)
OK, FAILED = 0, 1  # statuses of receipts


class Connection:
    """Frames, one at a time, each way."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(path)
        self._sending = threading.Lock()  # renewals come from another thread

    def send(self, kind, *members):
        frame = cbor.dumps(dict(enumerate((kind,) + members)))
        with self._sending:
            self._socket.sendall(struct.pack(">I", len(frame)) + frame)

    def receive(self):
        """The members of the next frame, by key; None at the end."""
        head = self._read(4)
        item = head and self._read(struct.unpack(">I", head)[0])
        return item and cbor.loads(item)

    def _read(self, size):
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                return None
            data += piece
        return data


def reverse(params):
    """What it is all about: (status, payload, usage)."""
    text = params.get("text") if isinstance(params, dict) else None
    if not isinstance(text, str):
        return FAILED, {"error": "the parameters have no text"}, {}
    return OK, {"text": text[::-1]}, {"characters": len(text)}


class Executor:
    def __init__(self, arguments):
        self.name = arguments.name
        self.kind = arguments.kind
        self.connection = Connection(arguments.socket)
        self.left = arguments.count
        self.offered = {}  # intent -> parameters, until it is claimed
        self.held = {}  # intent -> epoch, while it is being carried out

    def run(self):
        self.connection.send(HELLO, [1], self.name, [self.kind], 4)
        while (frame := self.connection.receive()) is not None:
            if frame[0] == WELCOME:
                self.renew_every(frame[4] / 3000)
            elif frame[0] == OFFER:
                self.offered[frame[1]] = cbor.loads(frame[8])
                self.connection.send(CLAIM, frame[1])
            elif frame[0] == GRANTED:
                self.carry_out(frame[1], frame[2])
            elif frame[0] == CANCEL:
                self.offered.pop(frame[1], None)
                self.held.pop(frame[1], None)
            elif frame[0] == VERDICT:
                print("verdict", frame[3], flush=True)
                if self.left is not None and (left := self.left - 1) == 0:
                    self.connection.send(BYE, "done")
                    return 0
                self.left = None if self.left is None else left
            elif frame[0] == BYE:
                return 0
            elif frame[0] == ERROR:
                print("error:", frame[1], file=sys.stderr)
                return 1
        return 1  # the world is gone

    def carry_out(self, intent, epoch):
        params = self.offered.pop(intent, None)
        self.held[intent] = epoch
        status, payload, usage = reverse(params)
        receipt = {0: intent, 1: status, 2: self.name, 3: epoch}
        if usage := {name: amount for name, amount in usage.items() if amount}:
            receipt[4] = usage
        receipt[7] = payload
        del self.held[intent]
        self.connection.send(RECEIPT, cbor.dumps(receipt))

    def renew_every(self, seconds):
        """Keeps the leases of what takes its time."""

        def renew():
            while True:
                time.sleep(seconds)
                for intent, epoch in list(self.held.items()):
                    self.connection.send(RENEW, intent, epoch)

        threading.Thread(target=renew, daemon=True).start()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("socket")
    parser.add_argument("--kind", default="text.reverse")
    parser.add_argument("--name", default="reverser")
    parser.add_argument("--count", type=int)
    return Executor(parser.parse_args()).run()


if __name__ == "__main__":
    sys.exit(main())
