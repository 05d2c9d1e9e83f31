"""Both signature schemes, against the contract's words, fixed values and Standard Webhooks' own standardwebhooks."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.signature import signed_headers
from shared.domain.webhook import new_signing_secret

AT = datetime(2026, 11, 21, 10, 0, 0, 999_000, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def test_the_headers_are_those_of_both_schemes():
    headers = signed_headers("X-Bota", [SECRET], "evt_1", b'{"a":1}', AT)
    assert headers == {
        "X-Bota-Signature": "v1=" + hmac.new(SECRET.encode(), b'1795255200.{"a":1}', hashlib.sha256).hexdigest(),
        "X-Bota-Timestamp": "1795255200",
        "X-Bota-Event-Id": "evt_1",
        "webhook-id": "evt_1",
        "webhook-timestamp": "1795255200",
        "webhook-signature": "v1,"
        + base64.b64encode(hmac.new(bytes(range(32)), b'evt_1.1795255200.{"a":1}', hashlib.sha256).digest()).decode(),
    }


def test_the_prefix_can_be_another():
    assert signed_headers("X-Acme", [SECRET], "evt_1", b"", AT).keys() >= {
        "X-Acme-Signature",
        "X-Acme-Timestamp",
        "X-Acme-Event-Id",
    }


@given(st.binary(max_size=2000))
def test_with_two_secrets_the_first_scheme_uses_the_newest_and_the_second_both(body):
    old, new = new_signing_secret(), new_signing_secret()
    both = signed_headers("X-Bota", [new, old], "evt_1", body, AT)
    alone = [signed_headers("X-Bota", [secret], "evt_1", body, AT) for secret in (new, old)]
    assert both["X-Bota-Signature"] == alone[0]["X-Bota-Signature"]
    assert both["webhook-signature"] == " ".join(headers["webhook-signature"] for headers in alone)


@pytest.mark.parametrize("body", [b'{"id":"evt_1"}', '{"city":"Zürich"}'.encode()])
def test_the_library_of_standard_webhooks_accepts_it_and_refuses_another_body(body):
    headers = signed_headers("X-Bota", [new_signing_secret(), SECRET], "evt_1", body, datetime.now(UTC))
    standardwebhooks.Webhook(SECRET).verify(body, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(body + b" ", headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(new_signing_secret()).verify(body, headers)
