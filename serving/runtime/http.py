"""uvicorn's HTTP protocol, with bounds on the head of a request and our shape for its errors.

uvicorn bounds neither how large a request's head may grow nor how long it may take, so a client
that never finishes one would hold memory and a connection for good.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.problems import Code, refuse

HEAD_BYTES = 64 * 1024  # request line and headers; common proxies stop at 8 to 64 KB
HEAD_SECONDS = 30.0
LINGER_SECONDS = 0.5  # for a refused client to read why


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _head_complete = False
    _refused = False
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a first request soon."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer with the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless a head has grown too large."""
        if self._refused:
            return
        if not self._head_complete:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_complete or self._refused:
            return
        if self._head_bytes > HEAD_BYTES:
            self.send_400_response(f"the request's head is larger than {HEAD_BYTES} bytes")
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def on_message_begin(self) -> None:
        """Expect the head of the next request."""
        self._head_complete = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole: the body has bounds of its own."""
        self._head_complete = True
        self._head_bytes = 0
        self._stop_timer()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, as everything else is refused, and close."""
        body = refuse(400, Code.MALFORMED_HTTP, msg.rstrip(".").lower()).body()
        head = (
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head % len(body) + body)
        # Closing now would reset the connection under the answer if the client is still sending.
        self._refused = True
        self.transport.write_eof()
        self._stop_timer()
        self._head_timer = self.loop.call_later(LINGER_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._head_timer = None
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
