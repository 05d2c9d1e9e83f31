"""What the S3 protocol answers: ETags in headers; error codes, listings and bulk deletion in XML."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from shared.domain.stored_object import StoredObject

_MD5_HEX_LENGTH = 32
_DAMAGED = ("BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "IncompleteBody")
BUSY_CODES = ("SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "OperationAborted", *_DAMAGED)
"""Codes after which the same request may succeed, whatever their status: a busy store, or bytes damaged on the way."""


def etag_is_md5(headers: Mapping[str, str]) -> bool:
    """Tell whether the object's ETag is made of MD5s, of its content or its parts: it is not under keys of a KMS or a client."""
    algorithm = headers.get("x-amz-server-side-encryption", "AES256")
    return algorithm == "AES256" and "x-amz-server-side-encryption-customer-algorithm" not in headers


def content_md5(headers: Mapping[str, str]) -> str | None:
    """Return the MD5 of the object's content in hex, where the headers state it; None for objects of several parts."""
    etag = headers.get("ETag", "").strip('"')
    return etag if len(etag) == _MD5_HEX_LENGTH and etag_is_md5(headers) else None


def described(key: str, headers: Mapping[str, str], size_bytes: int | None = None) -> StoredObject:
    """Return the object that these headers describe; after a PUT they do not say its size."""
    modified = headers.get("Last-Modified")
    return StoredObject(
        key=key,
        size_bytes=int(headers["Content-Length"]) if size_bytes is None else size_bytes,
        etag=headers.get("ETag", "").strip('"'),
        last_modified=parsedate_to_datetime(modified) if modified else None,
    )


def error_code(body: bytes) -> str:
    """Return the store's error code and message; empty when the body is not an S3 error."""
    root = _parse(body)
    if root is None:
        return ""
    fields = {_name(element): element.text or "" for element in root}
    return " ".join(filter(None, (fields.get("Code"), fields.get("Message"))))


def listing(body: bytes) -> tuple[list[StoredObject], str | None] | None:
    """Return one page of a URL-encoded ListObjectsV2 and the token of the next; None when the body is no listing."""
    root = _parse(body)
    if root is None or _name(root) != "ListBucketResult":
        return None
    encoded = truncated = False
    token: str | None = None
    found: list[dict[str, str]] = []
    for element in root:
        match _name(element):
            case "EncodingType":
                encoded = element.text == "url"
            case "IsTruncated":
                truncated = element.text == "true"
            case "NextContinuationToken":
                token = element.text
            case "Contents":
                found.append({_name(field): field.text or "" for field in element})
    if truncated and token is None:
        return None  # there is more, and no way to it
    return [_stored(fields, encoded=encoded) for fields in found], token


def deletion(keys: Sequence[str]) -> bytes:
    """Return the body of a bulk deletion that answers with nothing but failures."""
    objects = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
    return f'<?xml version="1.0" encoding="UTF-8"?><Delete><Quiet>true</Quiet>{objects}</Delete>'.encode()


def deletion_failures(body: bytes) -> Iterator[str]:
    """Yield `code key` for every object that a bulk deletion left behind; absent objects are none."""
    root = _parse(body)
    for element in root if root is not None else ():
        if _name(element) == "Error":
            fields = {_name(field): field.text or "" for field in element}
            if fields.get("Code") != "NoSuchKey":
                yield f"{fields.get('Code', '')} {fields.get('Key', '')}"


def fits_xml(key: str) -> bool:
    """Tell whether XML 1.0 can carry `key` unchanged: no control characters, lone surrogates or non-characters."""
    return key.isprintable() or all(character >= " " and character not in "\x7f\ufffe\uffff" for character in key)


def _stored(fields: dict[str, str], *, encoded: bool) -> StoredObject:
    key = unquote_plus(fields["Key"]) if encoded else fields["Key"]
    moment = fields.get("LastModified")
    return StoredObject(
        key=key,
        size_bytes=int(fields["Size"]),
        etag=fields.get("ETag", "").strip('"'),
        last_modified=datetime.fromisoformat(moment) if moment else None,
    )


def _parse(body: bytes) -> ET.Element | None:
    try:
        return ET.fromstring(body)  # noqa: S314  # the store is ours, and expat bounds entity expansion
    except ET.ParseError:
        return None


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
