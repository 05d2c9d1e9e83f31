"""Signs requests in two schemes at once: the platform's own and Standard Webhooks (contract A20 and 12.4).

The first keys HMAC-SHA256 on the literal secret, over `timestamp.body`; the second on the bytes that the secret's base64 holds,
over `id.timestamp.body`. The body never changes between attempts, the timestamp always does.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

SECRET_PREFIX = "whsec_"  # noqa: S105 - a prefix, not a secret


def signed_headers(prefix: str, secrets: Sequence[str], event_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """Return the headers that prove `body` came from us at `at`; `prefix` is that of the first scheme, such as `X-Bota`.

    `secrets` are those valid now, newest first: the first scheme has room for one signature and uses the newest, the second
    carries one per secret, so that a receiver may still hold the one just rotated out.
    """
    timestamp = str(int(at.timestamp()))
    return {
        f"{prefix}-Signature": "v1=" + _platform_signature(secrets[0], timestamp, body),
        f"{prefix}-Timestamp": timestamp,
        f"{prefix}-Event-Id": event_id,
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join("v1," + _standard_signature(secret, event_id, timestamp, body) for secret in secrets),
    }


def _platform_signature(secret: str, timestamp: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hex()


def _standard_signature(secret: str, event_id: str, timestamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{event_id}.{timestamp}.".encode() + body
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
