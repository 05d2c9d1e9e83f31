"""Signature Version 4, against the examples that AWS publishes ("Authenticating Requests", S3 API reference)."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from shared.storage.signing import Endpoint, Grant, Signer, Target, object_path, query_string

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HOST = "examplebucket.s3.amazonaws.com"
MOMENT = datetime(2013, 5, 24, tzinfo=UTC)
NO_BODY = sha256(b"").hexdigest()


def signer() -> Signer:
    return Signer(ACCESS_KEY, SECRET_KEY, "us-east-1")


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        ({"lifecycle": ""}, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ({"max-keys": "2", "prefix": "J"}, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ],
)
def test_a_request_is_signed_as_aws_signs_it(query: dict[str, str], signature: str) -> None:
    headers = signer().headers(HOST, Target("GET", "/", query_string(query)), NO_BODY, MOMENT)
    assert headers["Authorization"].endswith(f"Signature={signature}")


def test_headers_that_come_with_a_request_are_signed_as_aws_signs_them() -> None:
    headers = signer().headers(HOST, Target("GET", "/test.txt", "", {"range": "bytes=0-9"}), NO_BODY, MOMENT)
    assert "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date," in headers["Authorization"]
    assert headers["Authorization"].endswith("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")


def test_a_url_is_signed_as_aws_signs_it() -> None:
    url = signer().presign(Endpoint(f"https://{HOST}"), Grant("GET", "/test.txt", 86_400), MOMENT)
    assert url.endswith("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


def test_the_key_of_the_day_is_derived_anew_at_midnight() -> None:
    used_before = signer()
    used_before.headers(HOST, Target("GET", "/", ""), NO_BODY, MOMENT)
    tomorrow = MOMENT + timedelta(days=1)
    assert used_before.headers(HOST, Target("GET", "/", ""), NO_BODY, tomorrow) == signer().headers(
        HOST, Target("GET", "/", ""), NO_BODY, tomorrow
    )


def test_headers_that_are_part_of_a_grant_are_named_in_the_url() -> None:
    grant = Grant("PUT", "/b/k", 60, headers={"content-length": "12"})
    url = signer().presign(Endpoint("http://localhost:8333"), grant, MOMENT)
    assert parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"] == ["content-length;host"]


@pytest.mark.parametrize("expires_s", [0, -1, 7 * 24 * 3600 + 1])
def test_a_url_lives_up_to_a_week(expires_s: int) -> None:
    with pytest.raises(ValueError, match="seconds"):
        signer().presign(Endpoint("http://localhost"), Grant("GET", "/b/k", expires_s), MOMENT)


@pytest.mark.parametrize(
    ("url", "host", "origin"),
    [
        ("http://127.0.0.1:8333", "127.0.0.1:8333", "http://127.0.0.1:8333"),
        ("http://store:80/", "store", "http://store"),
        ("https://s3.example.com:443", "s3.example.com", "https://s3.example.com"),
        ("https://S3.Example.com:80", "s3.example.com:80", "https://s3.example.com:80"),
        ("http://[::1]:9000", "[::1]:9000", "http://[::1]:9000"),
    ],
)
def test_the_host_is_what_clients_send(url: str, host: str, origin: str) -> None:
    endpoint = Endpoint(url)
    assert (endpoint.host, endpoint.origin) == (host, origin)


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8333", "ftp://store", "http://", "http://store/path", "http://user@store", "http://store?x=1"]
)
def test_anything_else_is_no_endpoint(url: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        Endpoint(url)


def test_a_key_is_encoded_once_and_keeps_its_slashes() -> None:
    assert object_path("b", "a b+c%2F/ü~.ogg") == "/b/a%20b%2Bc%252F/%C3%BC~.ogg"


@pytest.mark.parametrize("key", ["/a", "a/", "a//b", "a/../b", "./a", "..", ".", "a\\b", "a\x00b", "é" * 513])
def test_a_key_that_servers_read_differently_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        object_path("b", key)


@pytest.mark.parametrize("key", ["...", "a..b/c.", ".hidden", "a/...b", "x" * 1024])
def test_dots_inside_a_name_are_fine(key: str) -> None:
    assert object_path("b", key) == f"/b/{key}"


@pytest.mark.parametrize("key", ["a", "proj_1/rec_2/chunks/000001/01J", "a-b/c.d~e", "a\n", "a/b\n", "a/ü", "a b/c"])
def test_only_what_needs_it_is_encoded(key: str) -> None:
    assert object_path("b", key) == f"/b/{quote(key, safe='/')}"


def test_urls_made_in_any_order_are_those_that_each_would_be_alone() -> None:
    grants = [
        Grant("PUT", "/b/1", 3600),
        Grant("PUT", "/b/2", 3600),
        Grant("PUT", "/b/2", 60),
        Grant("PUT", "/b/2", 60, headers={"content-length": "5"}),
        Grant("PUT", "/b/2", 60, headers={"content-length": "6"}),
        Grant("GET", "/b/2", 60, query={"response-content-type": "audio/ogg"}),
        Grant("GET", "/b/2", 60, query={"response-content-type": "audio/wav"}),
        Grant("GET", "/b/2", 60),
    ]
    moments = [datetime(2026, 1, 1, 10, tzinfo=UTC), datetime(2026, 1, 1, 10, 0, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)]
    endpoint, keys = Endpoint("http://127.0.0.1:9000"), ("key", "secret", "us-east-1")
    asked = [(grant, moment) for moment in moments for grant in (*grants, *reversed(grants))]
    signer = Signer(*keys)
    made = [signer.presign(endpoint, grant, moment) for grant, moment in asked]
    assert made == [Signer(*keys).presign(endpoint, grant, moment) for grant, moment in asked]
    assert len(set(made)) == len(grants) * len(moments)
