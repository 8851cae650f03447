"""A callback receiver on this machine, with switches for everything that goes wrong at a receiver."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        receiver: Receiver = self.server.receiver
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # the sender hung up in the middle: no request at all, to any server
            receiver.hung_up.set()
            return
        with receiver.lock:
            receiver.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            receiver.now_open += 1
            receiver.most_open = max(receiver.most_open, receiver.now_open)
            behave = receiver.script.pop(0) if receiver.script else receiver.otherwise
        try:
            behave(self)
        except OSError:  # the other side hung up, as it should
            receiver.hung_up.set()
        finally:
            with receiver.lock:
                receiver.now_open -= 1

    do_GET = do_POST

    def log_message(self, *args: Any) -> None:
        pass


class Receiver:
    """`script` is used up first, one behaviour a request, then `otherwise`. `release` ends what hangs."""

    def __init__(self, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.lock = threading.Lock()
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.script: list[Behaviour] = []
        self.otherwise: Behaviour = status(204)
        self.release = threading.Event()
        self.hung_up = threading.Event()
        self.now_open = self.most_open = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.receiver = self
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "https" if tls else "http"

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.requests]


@contextmanager
def listening(tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver(tls, port)
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.release.set()
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()


def status(code: int, body: bytes = b"", **headers: str) -> Behaviour:
    def behave(handler: Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def hang(handler: Handler) -> None:
    """Say nothing until the test is over."""
    handler.server.receiver.release.wait(60)


def drip(handler: Handler) -> None:
    """One byte of a header line, again and again: every single read succeeds in time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not handler.server.receiver.release.wait(0.02):
        handler.wfile.write(b"a")
        handler.wfile.flush()


def say_yes_then_drip(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not handler.server.receiver.release.wait(0.02):
        handler.wfile.write(b"a")
        handler.wfile.flush()


def reset(handler: Handler) -> None:
    """Break the connection with a RST instead of an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def huge(code: int) -> Behaviour:
    """An answer without an end."""

    def behave(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 %d Whatever\r\n\r\n" % code)
        while not handler.server.receiver.release.is_set():
            handler.wfile.write(b"x" * 65536)

    return behave


def huge_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.server.receiver.release.is_set():
        handler.wfile.write(b"X-More: " + b"x" * 8000 + b"\r\n")


def garbage(handler: Handler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
