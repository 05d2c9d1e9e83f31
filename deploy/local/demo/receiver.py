"""A customer's server in small: takes webhooks, and believes none without checking its signature by its own means."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import msgspec

from deploy.local.servers.ports import HOST

_TOLERANCE_S = 300


class Delivery(msgspec.Struct, frozen=True):
    """One webhook as it arrived."""

    event_id: str
    type: str
    recording_id: str
    is_genuine: bool


def is_genuine(secret: str, headers: Message, body: bytes, now_s: float) -> bool:
    """Whether both signatures are right and fresh, as the documentation of each scheme tells a receiver to check."""
    event_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not stamp.isdecimal() or abs(now_s - int(stamp)) > _TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    standard = base64.b64encode(hmac.new(key, f"{event_id}.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()
    own = hmac.new(secret.encode(), f"{headers.get('X-Bota-Timestamp', '')}.".encode() + body, hashlib.sha256).hexdigest()
    given = [signature.removeprefix("v1,") for signature in headers.get("webhook-signature", "").split()]
    standard_is_right = any(hmac.compare_digest(standard, signature) for signature in given)
    return standard_is_right and hmac.compare_digest(f"v1={own}", headers.get("X-Bota-Signature", ""))


class Receiver:
    """An HTTP server on a free loopback port; `heard` is called with every delivery, on the server's threads."""

    def __init__(self, heard: Callable[[Delivery], None]) -> None:
        self._heard = heard
        self.secret = ""
        self._server = ThreadingHTTPServer((HOST, 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="receiver", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._server.server_address[1]}/webhooks"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, headers: Message, body: bytes) -> bool:
        """Check and hand on one webhook; whether it was genuine."""
        genuine = is_genuine(self.secret, headers, body, time.time())
        event: dict[str, Any] = json.loads(body)
        data = event["data"]
        self._heard(Delivery(event["id"], event["type"], data.get("recording_id") or data["id"], genuine))
        return genuine


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.send_response(200 if receiver.take(self.headers, body) else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet: the demo shows what arrives."""

    return Handler
