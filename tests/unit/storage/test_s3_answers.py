"""What stores answer, read leniently: foreign XML is never an error of ours."""

from datetime import UTC, datetime

import pytest

from shared.domain.stored_object import StoredObject
from shared.storage.s3_answers import content_md5, deletion, deletion_failures, error_code, fits_xml, listing

MD5 = "9e107d9d372bb6826bd81d3542a419d6"


def test_an_error_is_read_with_its_message() -> None:
    body = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your rate</Message></Error>"
    assert error_code(body) == "SlowDown Please reduce your rate"


@pytest.mark.parametrize("body", [b"", b"<html>", b"not xml", b"\xff\xfe"])
def test_a_body_that_is_no_error_says_nothing(body: bytes) -> None:
    assert error_code(body) == ""
    assert listing(body) is None
    assert list(deletion_failures(body)) == []


def test_a_page_is_read_with_the_token_of_the_next() -> None:
    body = b"""<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType>
    <IsTruncated>true</IsTruncated><NextContinuationToken>abc=</NextContinuationToken><Contents><Key>a+b%2B%0A/%C3%BC</Key>
    <LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&quot;x&quot;</ETag><Size>12</Size></Contents></ListBucketResult>"""
    stored = StoredObject("a b+\n/ü", 12, "x", datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC))
    assert listing(body) == ([stored], "abc=")


def test_a_key_that_was_not_encoded_is_taken_as_it_is() -> None:
    body = b"<ListBucketResult><Contents><Key>a+b%20</Key><Size>1</Size></Contents></ListBucketResult>"
    assert listing(body) == ([StoredObject("a+b%20", 1, "")], None)


def test_a_deletion_escapes_its_keys() -> None:
    assert b"<Key>a&lt;b&gt;&amp;c</Key>" in deletion(["a<b>&c"])


def test_objects_that_did_not_exist_are_no_failures_of_a_deletion() -> None:
    body = b"""<DeleteResult><Error><Code>NoSuchKey</Code><Key>a</Key></Error>
    <Error><Code>AccessDenied</Code><Key>b</Key></Error></DeleteResult>"""
    assert list(deletion_failures(body)) == ["AccessDenied b"]


@pytest.mark.parametrize(
    ("headers", "md5"),
    [
        ({"ETag": f'"{MD5}"'}, MD5),
        ({"ETag": f'"{MD5}"', "x-amz-server-side-encryption": "AES256"}, MD5),
        ({"ETag": f'"{MD5}"', "x-amz-server-side-encryption": "aws:kms"}, None),
        ({"ETag": f'"{MD5}"', "x-amz-server-side-encryption-customer-algorithm": "AES256"}, None),
        ({"ETag": f'"{MD5}-3"'}, None),
        ({}, None),
    ],
)
def test_an_etag_is_an_md5_only_where_the_store_makes_it_one(headers: dict[str, str], md5: str | None) -> None:
    assert content_md5(headers) == md5


def test_control_characters_do_not_fit_xml() -> None:
    assert fits_xml("p/r/ü 😀<&>")
    assert not fits_xml("a\x01b")
    assert not fits_xml("a\nb")
