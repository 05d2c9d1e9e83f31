"""AWS Signature Version 4 for S3, with the signing key derived once a day.

The canonical forms are those of the S3 API reference ("Authenticating Requests"): each key is percent-encoded once, by RFC 3986.
Only the headers that must be signed are: a proxy may touch any other without breaking the request.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote, urlsplit

import msgspec

from shared.domain.keyed_hash import KeyedHash

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
LONGEST_EXPIRY_S = 7 * 24 * 3600  # a server refuses more
LONGEST_KEY_BYTES = 1024  # the S3 limit
_UNFIT_KEY = re.compile(r"(^|/)\.{0,2}(/|\Z)|\\|\x00")  # SeaweedFS takes a backslash for a slash
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.~-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.~-]*)*")  # it stands for itself
_ALGORITHM = "AWS4-HMAC-SHA256"
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Endpoint:
    """Where a store is reached: `http(s)://host[:port]`, anything else is a ValueError; `host` is what clients send as Host."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if (
            parts.scheme not in _DEFAULT_PORTS
            or not parts.hostname
            or parts.path.strip("/")
            or parts.query
            or "@" in parts.netloc
        ):
            raise ValueError("an S3 endpoint must have the form http://host:port or https://host:port")
        self.secure = parts.scheme == "https"
        name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.host = name if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{name}:{parts.port}"
        self.origin = f"{parts.scheme}://{self.host}"


class Grant(msgspec.Struct, frozen=True):
    """What a URL allows: one method on one encoded path, with this query and these headers (lower case), for `expires_s`."""

    method: str
    path: str
    expires_s: int
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}


class Target(msgspec.Struct, frozen=True):
    """What is asked for: method, encoded path, canonical query, and the `x-amz-` headers (lower case) that come with it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = {}


class Signer:
    """Signs requests and URLs with one pair of keys; pure apart from the clock it is given."""

    def __init__(self, access_key: str, secret_key: str, region: str) -> None:
        self._access_key = access_key
        self._secret_key = secret_key
        self._region = region
        self._day = ""
        self._hash = KeyedHash(b"")
        self._granted: tuple[object, str] = None, ""

    def headers(self, host: str, target: Target, payload_hash: str, now: datetime) -> dict[str, str]:
        """Return the headers that authorize `target` at `now` (UTC); those of its own it carries besides."""
        moment = _timestamp(now)
        signed = {"host": host, "x-amz-content-sha256": payload_hash, "x-amz-date": moment, **target.headers}
        names = sorted(signed)
        lines = "".join([f"{name}:{signed[name]}\n" for name in names])
        listed = ";".join(names)
        canonical = f"{target.method}\n{target.path}\n{target.query}\n{lines}\n{listed}\n{payload_hash}"
        credential = f"{self._access_key}/{self._scope(moment)}"
        signature = self._signature(canonical, moment)
        return {
            "x-amz-content-sha256": payload_hash,
            "x-amz-date": moment,
            "Authorization": f"{_ALGORITHM} Credential={credential}, SignedHeaders={listed}, Signature={signature}",
        }

    def presign(self, endpoint: Endpoint, grant: Grant, now: datetime) -> str:
        """Return a URL that grants this much to whoever has it, from `now` (UTC) on."""
        if not 1 <= grant.expires_s <= LONGEST_EXPIRY_S:
            raise ValueError(f"a URL lives 1 to {LONGEST_EXPIRY_S} seconds, not {grant.expires_s}")
        moment = _timestamp(now)
        headers = sorted({**grant.headers, "host": endpoint.host}.items())
        names = ";".join(name for name, _ in headers)
        canonical_query = self._granting(grant, names, moment)
        lines = "".join(f"{name}:{value}\n" for name, value in headers)
        canonical = f"{grant.method}\n{grant.path}\n{canonical_query}\n{lines}\n{names}\n{UNSIGNED_PAYLOAD}"
        return f"{endpoint.origin}{grant.path}?{canonical_query}&X-Amz-Signature={self._signature(canonical, moment)}"

    def _granting(self, grant: Grant, names: str, moment: str) -> str:
        """Return the query of the URL, but for its signature; of many that are made at once it is made once."""
        made_of = (dict(grant.query), grant.expires_s, names, moment)
        if made_of != self._granted[0]:
            terms = {
                **grant.query,
                "X-Amz-Algorithm": _ALGORITHM,
                "X-Amz-Credential": f"{self._access_key}/{self._scope(moment)}",
                "X-Amz-Date": moment,
                "X-Amz-Expires": str(grant.expires_s),
                "X-Amz-SignedHeaders": names,
            }
            self._granted = made_of, query_string(terms)
        return self._granted[1]

    def _scope(self, moment: str) -> str:
        return f"{moment[:8]}/{self._region}/s3/aws4_request"

    def _signature(self, canonical: str, moment: str) -> str:
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{moment}\n{self._scope(moment)}\n{digest}"
        return self._hash_of(moment[:8])(text.encode()).hex()

    def _hash_of(self, day: str) -> KeyedHash:
        if day != self._day:
            key = b"AWS4" + self._secret_key.encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._day, self._hash = day, KeyedHash(key)
        return self._hash


def object_path(bucket: str, key: str) -> str:
    """Return the encoded path of `key` (of the bucket itself when empty); a ValueError for a key a path cannot carry."""
    if not key:
        return f"/{bucket}"
    if len(key) <= LONGEST_KEY_BYTES and _PLAIN_KEY.fullmatch(key):
        return f"/{bucket}/{key}"
    if len(key.encode()) > LONGEST_KEY_BYTES or _UNFIT_KEY.search(key):
        raise ValueError("a key has up to 1024 bytes, no backslash and no empty, '.' or '..' segment")
    return f"/{bucket}/{quote(key, safe='/')}"


def query_string(query: Mapping[str, str]) -> str:
    """Return `query` in its canonical form: RFC 3986, sorted by name."""
    if not query:
        return ""
    return "&".join(f"{name}={value}" for name, value in sorted((quote(n, safe=""), quote(v, safe="")) for n, v in query.items()))


def _timestamp(now: datetime) -> str:
    return f"{now.year:04d}{now.month:02d}{now.day:02d}T{now.hour:02d}{now.minute:02d}{now.second:02d}Z"
