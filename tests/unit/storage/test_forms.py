"""Documents of the driver as Structs: nothing of the driver's own is left in them."""

from typing import Any

import bson
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.storage.forms import in_form, plain

NUMBERS = st.integers(min_value=-(2**63), max_value=2**63 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5).filter(lambda key: "\0" not in key), inner),
    max_leaves=10,
)


class Inner(msgspec.Struct):
    anything: dict[str, Any] | None = None


class Kept(msgspec.Struct, rename={"id": "_id"}):
    id: str
    size: int = 0
    share: int | float = 0
    free: dict[str, Any] = {}
    inner: Inner | None = None
    several: tuple[Inner, ...] = ()
    anything: Any = None


def from_driver(**fields):
    return bson.decode(bson.encode({"_id": "x", **fields}))


@given(VALUES)
def test_whatever_a_client_may_send_can_be_encoded_again(value):
    kept = in_form(from_driver(free={"key": value}, inner={"anything": {"key": value}}, anything=value), Kept)
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(kept)), Kept) == kept
    assert kept.free == kept.inner.anything == {"key": value}


@pytest.mark.parametrize("number", [2**31, 2**63 - 1, -(2**31) - 1, 1_700_000_000_000])
def test_large_integers_are_plain_wherever_they_stand(number):
    found = from_driver(size=number, share=number, several=[{"anything": {"n": [number]}}], anything=number)
    kept = in_form(found, Kept)
    numbers = (kept.size, kept.share, kept.several[0].anything["n"][0], kept.anything)
    assert [(type(one), one) for one in numbers] == [(int, number)] * 4


def test_what_is_made_plain_is_otherwise_the_same():
    document = from_driver(a=True, b=1.5, c=None, d=b"bytes", e=[1, {"f": 2**40}])
    assert plain(document) == document
    assert plain(document)["a"] is True
