"""HMAC-SHA-256 as the standard library has it, and as RFC 4231 says."""

import hmac

import pytest

from shared.domain.keyed_hash import KeyedHash


@pytest.mark.parametrize(
    ("key", "text", "digest"),
    [
        (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            b"\xaa" * 131,
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ],
)
def test_it_is_what_the_rfc_says(key, text, digest):
    assert KeyedHash(key)(text).hex() == digest


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 200])
def test_each_text_has_its_own_hash_under_a_key_of_any_length(length):
    key = bytes(range(length))
    keyed = KeyedHash(key)
    for text in (b"", b"a", bytes(1000), b"a"):
        assert keyed(text) == hmac.digest(key, text, "sha256")
