"""From the bytes that were sent to the bytes that were meant: gzip, deflate, br, or none, piece by piece and never without end.

A body that was squeezed is never held whole: whoever has the DSN could send 60 kB that become 60 MB.
"""

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator

import brotli

MOST = 64 * 1024 * 1024  # bytes that come out; what lies behind is not read
PIECE = 64 * 1024

GZIP = b"\x1f\x8b"
ENCODINGS = ("gzip", "x-gzip", "deflate", "br")


def pieces(body: bytes, encoding: str, most: int = MOST) -> Iterator[bytes]:
    """Yield what a body says in pieces of some 64 kB, at most `most` bytes in all. Never raises.

    What is cut off or broken in the middle is yielded up to there; what does not look like its encoding is yielded as it is,
    because a proxy in between may have undone it already.
    """
    layers = [one.strip().lower() for one in encoding.split(",") if one.strip().lower() in ENCODINGS]
    stream: Iterable[bytes] = _cut(body)
    if not layers and body.startswith(GZIP):
        layers = ["gzip"]
    for layer in reversed(layers[:2]):
        stream = _brotli(stream) if layer == "br" else _zlib(stream)
        stream = _at_most(stream, 2 * most + PIECE)  # what is between two may be without end, and hold nothing
    yield from _at_most(stream, most)


def unwrapped(body: bytes) -> bytes:
    """Return a body of the old /store/, which was sometimes sent as base64 of deflate; as it is where it is neither."""
    if body[:1] in (b"{", b"["):
        return body
    try:
        inside = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return body
    return b"".join(_zlib([inside], strict=False)) or inside


def _at_most(stream: Iterable[bytes], most: int) -> Iterator[bytes]:
    left = most
    for piece in stream:
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return


def _cut(body: bytes) -> Iterator[bytes]:
    view = memoryview(body)
    for start in range(0, len(view), PIECE):
        yield bytes(view[start : start + PIECE])


def _zlib(stream: Iterable[bytes], *, strict: bool = True) -> Iterator[bytes]:
    """Yield what gzip or deflate (with its head or without) hold."""
    machine, said = None, False
    for piece in stream:
        if machine is None:
            machine = _machine_for(piece)
            if machine is None:
                if strict:
                    yield piece
                    yield from stream
                return
        while True:
            try:
                out = machine.decompress(piece, PIECE)
            except zlib.error:
                if not said:
                    yield piece
                    yield from stream
                return
            if out:
                said = True
                yield out
            piece = machine.unconsumed_tail
            if machine.eof:
                return
            if not piece and len(out) < PIECE:  # a full piece may leave a rest inside the machine
                break


def _machine_for(piece: bytes) -> "zlib._Decompress | None":
    """Return what reads this beginning; None where nothing does."""
    for bits in (47, -15):  # gzip or zlib by their heads; deflate without one
        machine = zlib.decompressobj(bits)
        try:
            machine.decompress(piece[:512], 1024)
        except zlib.error:
            continue
        return zlib.decompressobj(bits)
    return None


def _brotli(stream: Iterable[bytes]) -> Iterator[bytes]:
    machine, said = brotli.Decompressor(), False
    for piece in stream:
        given = piece
        while True:
            try:
                out = machine.process(given, output_buffer_limit=PIECE)
            except brotli.error:
                if not said:
                    yield piece
                    yield from stream
                return
            if out:
                said = True
                yield out
            if machine.is_finished():
                return
            if not out and machine.can_accept_more_data():
                break
            given = b""  # it holds a rest, even where it says that it would take more
