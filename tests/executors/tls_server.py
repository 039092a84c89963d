#!/usr/bin/env python3
"""A TLS server on the loopback: prints its port, and closes each connection once
a request is there, without an answer. The certificate is nobody's but its own."""

import os
import socket
import ssl

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(os.path.splitext(__file__)[0] + ".pem")
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
while True:
    connection, _ = listening.accept()
    try:
        with context.wrap_socket(connection, server_side=True) as channel:
            while b"\r\n\r\n" not in channel.recv(65536):
                pass
    except OSError:
        pass
