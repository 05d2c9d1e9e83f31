"""The parser of requests, which lets no offer of another protocol keep it from a request's body.

Nothing here speaks another protocol, and HTTP allows to ignore the offer. httptools takes what follows such a head for the other
protocol already and drops the body: Java's own client offers HTTP/2 with what it sends over plain HTTP, and its bodies were lost.
"""

from typing import Protocol

import httptools

_OFFER = frozenset({b"upgrade", b"http2-settings"})  # headers, and what `Connection` says of them


class Receiver(Protocol):
    """Whom the parser tells what it found, and who keeps it."""

    url: bytes
    headers: list[tuple[bytes, bytes]]


class RequestParser:
    """An httptools parser to which a head that offers another protocol comes twice: the second time without its offer."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._renew()

    def _renew(self) -> None:
        """Take a parser that has not seen a connection end."""
        self._parser = parser = httptools.HttpRequestParser(self._receiver)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it, for what is pipelined
        self.get_method, self.get_http_version = parser.get_method, parser.get_http_version
        self.should_keep_alive, self.should_upgrade = parser.should_keep_alive, parser.should_upgrade

    @property
    def will_repeat(self) -> bool:
        """Say whether the head that has just ended, and its message, are to be ignored: they come again without the offer."""
        return self.should_upgrade() and self.get_method() != b"CONNECT"

    def feed_data(self, data: bytes) -> None:
        """Parse what came, or raise as httptools does; CONNECT alone is left to the caller."""
        rest = memoryview(data)
        while True:
            try:
                return self._parser.feed_data(rest)
            except httptools.HttpParserUpgrade as offered:
                if not self.will_repeat:
                    raise
                rest = rest[offered.args[0] :]
                head = self._head_without_offer()
                self._renew()
                self._parser.feed_data(head)

    def _head_without_offer(self) -> bytes:
        lines = [b"%b %b HTTP/%b" % (self.get_method(), self._receiver.url, self.get_http_version().encode())]
        for name, value in self._receiver.headers:
            kept = _connection_without_offer(value) if name == b"connection" else value
            if name not in _OFFER and (kept or not value):
                lines.append(b"%b: %b" % (name, kept))
        return b"\r\n".join((*lines, b"", b""))


def _connection_without_offer(value: bytes) -> bytes:
    return b", ".join(word for word in map(bytes.strip, value.split(b",")) if word.lower() not in _OFFER)
