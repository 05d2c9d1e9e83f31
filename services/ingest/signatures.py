"""What the API signs and takes back: chunk URLs and cursors. Replicas with the same secret accept each other's."""

import base64
import binascii
import hmac
import re
from functools import lru_cache

import msgspec

from services.ingest.refusals import Forbidden, InvalidRequest, UploadUrlExpired
from shared.domain.keyed_hash import KeyedHash
from shared.domain.tenant import Mode, Tenant

_CURSOR_TAG_BYTES = 16
_MOST_GRANTS = 10_000  # remembered: a recording's chunks all come by one
_EXPIRES = re.compile("[1-9][0-9]{0,14}")  # as `chunk_query` writes it: what is verified is the text that came


class ChunkGrant(msgspec.Struct, frozen=True, kw_only=True):
    """The right to store chunks of one recording until `expires` (Unix seconds)."""

    tenant: Tenant
    recording_id: str
    expires: int


class Signatures:
    """Signs with keys derived from one secret, each for one purpose."""

    def __init__(self, secret: str) -> None:
        self._verified_grant = lru_cache(_MOST_GRANTS)(self._verified)  # of the good ones: an error is not remembered
        self._chunk_hash = KeyedHash(derived_key(secret, b"chunk upload"))
        self._cursor_hash = KeyedHash(derived_key(secret, b"cursor"))

    def chunk_query(self, grant: ChunkGrant) -> str:
        """Return the query string that carries the grant."""
        tenant = grant.tenant
        return f"project={tenant.project_id}&mode={tenant.mode}&expires={grant.expires}&signature={self._chunk_signature(grant)}"

    def chunk_grant(self, recording_id: str, query: "ChunkQuery", at: float) -> ChunkGrant:
        """Return the grant that the query carries; raises `Forbidden` or, when it was good once, `UploadUrlExpired`."""
        grant = self._verified_grant(recording_id, query)
        if grant.expires < at:
            raise UploadUrlExpired("the upload URL has expired")
        return grant

    def cursor(self, tenant: Tenant, listing: str, position: str) -> str:
        """Return an opaque cursor that continues `listing` after `position`."""
        text = position.encode()
        return base64.urlsafe_b64encode(self._cursor_tag(tenant, listing, text) + text).decode().rstrip("=")

    def position(self, tenant: Tenant, listing: str, cursor: str) -> str:
        """Return what `cursor` stands for; raises `InvalidRequest` when it was not made for this tenant's `listing`."""
        try:
            raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidRequest("the cursor is not one of ours", param="cursor") from error
        tag, text = raw[:_CURSOR_TAG_BYTES], raw[_CURSOR_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._cursor_tag(tenant, listing, text)):
            raise InvalidRequest("the cursor is not one of ours", param="cursor")
        return text.decode()

    def _verified(self, recording_id: str, query: "ChunkQuery") -> ChunkGrant:
        if _EXPIRES.fullmatch(query.expires) is None:
            raise Forbidden("the upload URL is not one of ours")
        try:
            grant = ChunkGrant(
                tenant=Tenant(query.project, Mode(query.mode)), recording_id=recording_id, expires=int(query.expires)
            )
        except ValueError as error:
            raise Forbidden("the upload URL is not one of ours") from error
        if not hmac.compare_digest(self._chunk_signature(grant).encode(), query.signature.encode()):
            raise Forbidden("the upload URL is not one of ours")
        return grant

    def _chunk_signature(self, grant: ChunkGrant) -> str:
        tenant = grant.tenant
        text = f"{tenant.project_id}\n{tenant.mode}\n{grant.recording_id}\n{grant.expires}"
        return self._chunk_hash(text.encode()).hex()

    def _cursor_tag(self, tenant: Tenant, listing: str, position: bytes) -> bytes:
        text = f"{tenant.project_id}\n{tenant.mode}\n{listing}\n".encode() + position
        return self._cursor_hash(text)[:_CURSOR_TAG_BYTES]


class ChunkQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query of a chunk URL as it came."""

    project: str
    mode: str
    expires: str
    signature: str


def derived_key(secret: str, purpose: bytes) -> bytes:
    """Return the key for one purpose that follows from the secret of all replicas."""
    return hmac.digest(secret.encode(), purpose, "sha256")
