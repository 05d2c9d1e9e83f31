"""Which keys hide their values, and which credentials are found inside texts."""

import msgspec
import pytest

from shared.telemetry.redaction import REDACTED, names_a_secret, redact, scrub


class Endpoint(msgspec.Struct):
    url: str
    secret: str


@pytest.mark.parametrize(
    "key",
    [
        "authorization",
        "Authorization",
        "secret",
        "webhook_secret",
        "upload_token",
        "key",
        "api_key",
        "apiKey",
        "s3_secret_key",
        "password",
        "passwd",
        "text",
        "full_text",
        "words",
        "cookie",
        "x-bota-signature",
    ],
)
def test_a_key_that_names_a_secret_hides_its_value(key):
    assert names_a_secret(key)
    assert redact({key: "hunter2"}) == {key: REDACTED}


@pytest.mark.parametrize("key", ["recording_id", "object_key", "fencing_token", "api_key_id", "word_count", "context", "monkey"])
def test_other_keys_keep_their_values(key):
    assert redact({key: "plain"}) == {key: "plain"}


def test_an_absent_secret_is_shown_as_absent():
    assert redact({"secret": None}) == {"secret": None}


def test_secrets_are_found_at_any_depth():
    fields = {"a": {"b": [{"password": "x"}, ("y", {"token": "z"})]}, "endpoint": Endpoint("https://example.org", "whsec_x")}
    assert redact(fields) == {
        "a": {"b": [{"password": REDACTED}, ["y", {"token": REDACTED}]]},
        "endpoint": {"url": "https://example.org", "secret": REDACTED},
    }


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        (b'"sk_live_0123456789abcdef"', b'"[redacted]"'),
        (b"key=rk_test_0123456789abcdef;", b"key=[redacted];"),
        (b"/v1/chunks/up_0123456789abcdef/7", b"/v1/chunks/[redacted]/7"),
        (b"dtok_0123456789abcdef", b"[redacted]"),
        (b"/v1/provider-callbacks/deepgram/cbk_0123456789abcdef", b"/v1/provider-callbacks/deepgram/[redacted]"),
        (b"whsec_MDEyMzQ1Njc4OWFi", b"[redacted]"),
        (b"Authorization: Bearer abc.def", b"Authorization: Bearer [redacted]"),
        (b"basic dXNlcjpwYXNz", b"basic [redacted]"),
        (b"mongodb://root:pw@db:27017/x", b"mongodb://[redacted]@db:27017/x"),
        (
            b"https://s3/x?X-Amz-Credential=AKIA%2F1&X-Amz-Signature=00ff&z=1",
            b"https://s3/x?X-Amz-Credential=[redacted]&X-Amz-Signature=[redacted]&z=1",
        ),
    ],
)
def test_a_credential_inside_a_text_is_replaced(line, clean):
    assert scrub(line) == clean


@pytest.mark.parametrize("line", [b"http://db:1/up_to_date", b"backup_0123456789abcdef", b"a@b.example"])
def test_other_texts_are_left_alone(line):
    assert scrub(line) == line
