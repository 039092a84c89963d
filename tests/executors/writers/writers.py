"""Writes texts in the ways that Python has; see secrets_writers_test.cc.

Usage: writers.py FILE, which holds a JSON array of texts. Prints for each way of
each text [index, way, what stands before it, the text as it was written, what
stands behind it, how many characters of the middle may stay].
"""

import base64
import html
import json
import sys
import urllib.parse
import xml.sax.saxutils

with open(sys.argv[1], encoding="utf-8") as file:
    texts = json.load(file)


def inner(text):
    return text[0], text[1:-1], text[-1]


for index, text in enumerate(texts):
    raw = text.encode()

    def say(way, before, middle, after="", may_stay=0, index=index):
        print(json.dumps([index, way, before, middle, after, may_stay]))

    say("json", *inner(json.dumps(text)))
    say("json in UTF-8", *inner(json.dumps(text, ensure_ascii=False)))
    twice = json.dumps(json.dumps(text))
    say("json in json", twice[:3], twice[3:-3], twice[-3:])
    say("json in a URL", "q=%22",
        urllib.parse.quote(json.dumps(text)[1:-1], safe=""), "%22")
    say("quote in json", *inner(json.dumps(urllib.parse.quote(text))))
    say("quote", "/", urllib.parse.quote(text), "/")
    say("quote all", "/", urllib.parse.quote(text, safe=""), "/")
    say("quote_plus", "a=", urllib.parse.quote_plus(text), "&b=1")
    say("html", "<b>", html.escape(text), "</b>")
    say("xml", "<b>", xml.sax.saxutils.escape(text), "</b>")
    say("html of json", "&quot;", html.escape(json.dumps(text)[1:-1]), "&quot;")
    say("repr", "b'", repr(b'"' + raw)[3:-1], "'")
    say("hex", "x", raw.hex(), "x")
    say("hex, spaced", "x", raw.hex(" "), "x")
    for name, encode in (("base64", base64.b64encode),
                         ("base64, url", base64.urlsafe_b64encode),
                         ("base64, lines", base64.encodebytes)):
        say(name, ":", encode(raw).decode().strip("=\n"), "=")
        say(name + " in json",
            *inner(json.dumps(encode(raw).decode().strip("=\n"))))
        for user in ("", "u", "us", "user"):
            # Of what stands beside it, and of its own at most a character on
            # each side, which holds bits of both.
            whole = encode((user + ":").encode() + raw + b"\n" * 60)
            may_stay = len(encode((user + ":" + "\n" * 60).encode())) + 4
            say(name + ", inside", "", whole.decode(), "", may_stay)
