"""Reading a request body up to a limit, whatever its headers say."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from serving.limits import ServerLimits
from serving.problems import Code, Refusal, refuse

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Headers = Mapping[bytes, bytes]

# A deflate body is in zlib's format, as RFC 9110 says.
WINDOW_BITS = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


class ClientGone(Exception):  # noqa: N818 - no error: nobody is left to tell
    """The client closed the connection before its request was whole."""


async def read_body(headers: Headers, receive: Receive, limits: ServerLimits) -> bytes:
    """The whole body, decompressed; raises Refusal past the limit, and ClientGone."""
    declared = headers.get(b"content-length", b"0")
    if len(declared) > 18 or int(declared) > limits.max_bytes:
        raise _too_large(limits.max_bytes)
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding != b"identity" and encoding not in WINDOW_BITS:
        raise refuse(
            415, Code.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding must be gzip, deflate or absent"
        )
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
    else:
        try:
            async with asyncio.timeout(limits.body_seconds):
                body = await _collect(message, receive, limits.max_bytes)
        except TimeoutError:
            raise refuse(408, Code.SLOW_BODY, "the body did not arrive in time") from None
    if encoding == b"identity":
        return body
    return _decompress(body, WINDOW_BITS[encoding], limits.max_bytes)


async def _collect(message: Message, receive: Receive, largest: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] != "http.request":
            raise ClientGone
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > largest:
            raise _too_large(largest)
        if not message.get("more_body", False):
            return b"".join(chunks)
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
        raise _too_large(largest)
    if not unpacker.eof:
        raise refuse(400, Code.MALFORMED_COMPRESSION, "the compressed body is cut off")
    return plain


def _too_large(largest: int) -> Refusal:
    return refuse(413, Code.TOO_LARGE, f"the body is larger than {largest} bytes")
