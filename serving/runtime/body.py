"""Reading a request body up to a limit, whatever its headers say."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from serving.limits import ServerLimits
from serving.problems import Code, refuse, too_large

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Headers = Mapping[bytes, bytes]

# A deflate body is in zlib's format, as RFC 9110 says.
WINDOW_BITS = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}
SMALL = 64 * 1024  # bytes; as many connections as a process may have hold little more than that
HELD_BODIES = 4  # of the largest size


class ClientGone(Exception):  # noqa: N818 - no error: nobody is left to tell
    """The client closed the connection before its request was whole."""


class Intake:
    """Bodies on their way in, from all clients together.

    Waiting for one costs nothing but memory: slow clients may be as many as they like, what is held
    for them may not, and small bodies pass whatever large ones do.
    """

    def __init__(self) -> None:
        self.waiting = 0
        """Requests whose bodies are not whole yet."""
        self._held = 0

    async def read(self, headers: Headers, receive: Receive, limits: ServerLimits) -> bytes:
        """The whole body, decompressed; raises Refusal past the limits, and ClientGone."""
        declared = headers.get(b"content-length", b"0")
        if len(declared) > 18 or int(declared) > limits.max_bytes:
            raise too_large(limits.max_bytes)
        encoding = headers.get(b"content-encoding", b"identity").strip().lower()
        if encoding != b"identity" and encoding not in WINDOW_BITS:
            raise refuse(
                415, Code.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding must be gzip, deflate or absent"
            )
        body = await self._receive(receive, limits)
        if encoding == b"identity":
            return body
        return _decompress(body, WINDOW_BITS[encoding], limits.max_bytes)

    async def _receive(self, receive: Receive, limits: ServerLimits) -> bytes:
        self.waiting += 1
        chunks: list[bytes] = []
        try:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                body: bytes = message.get("body", b"")
                return body
            async with asyncio.timeout(limits.body_seconds):
                await self._collect(message, receive, chunks, limits.max_bytes)
            return b"".join(chunks)
        except TimeoutError:
            raise refuse(408, Code.SLOW_BODY, "the body did not arrive in time") from None
        finally:
            self.waiting -= 1
            self._held -= sum(map(len, chunks))

    async def _collect(
        self, message: Message, receive: Receive, chunks: list[bytes], largest: int
    ) -> None:
        size = 0
        while True:
            if message["type"] != "http.request":
                raise ClientGone
            chunk = message.get("body", b"")
            chunks.append(chunk)
            size += len(chunk)
            self._held += len(chunk)
            if size > largest:
                raise too_large(largest)
            if size > SMALL and self._held > HELD_BODIES * largest:
                raise refuse(503, Code.OVERLOADED, "too many large bodies at once; try again")
            if not message.get("more_body", False):
                return
            message = await receive()


def _decompress(body: bytes, window_bits: int, largest: int) -> bytes:
    """Decompress up to the limit: a few kilobytes can unfold to gigabytes."""
    unpacker = zlib.decompressobj(window_bits)
    try:
        plain = unpacker.decompress(body, largest + 1)
    except zlib.error:
        raise refuse(
            400, Code.MALFORMED_COMPRESSION, "the compressed body cannot be unpacked"
        ) from None
    if len(plain) > largest:
        raise too_large(largest)
    if not unpacker.eof:
        raise refuse(400, Code.MALFORMED_COMPRESSION, "the compressed body is cut off")
    return plain
