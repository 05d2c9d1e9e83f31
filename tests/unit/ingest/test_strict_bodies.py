"""Bodies are decoded without coercion, and whatever cannot be kept is refused before it reaches a store."""

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.bodies import CompleteUpload, CreateRecording, FinalizeRecording, Transcribe
from services.ingest.limits import MAX_INTEGER, MAX_METADATA_BYTES, MAX_METADATA_DEPTH, checked_metadata
from services.ingest.refusals import InvalidRequest
from services.ingest.strict_json import decode, parse

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=20)
NUMBERS = st.integers(-MAX_INTEGER - 1, MAX_INTEGER) | st.floats(allow_nan=False, allow_infinity=False)


def objects(values):
    return st.dictionaries(TEXT, values, max_size=4)


VALUES = st.recursive(st.none() | st.booleans() | NUMBERS | TEXT, lambda inner: st.lists(inner, max_size=4) | objects(inner))


def refusal_of(call, *arguments):
    """Return why `call` refuses, None when it does not; any other error fails the test."""
    try:
        call(*arguments)
    except InvalidRequest as refused:
        return refused
    return None


def depth(value):
    """Return how many objects and arrays lie in each other."""
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(depth, value.values() if isinstance(value, dict) else value), default=0)


def has_dollar_key(value):
    if isinstance(value, dict):
        return any(key.startswith("$") for key in value) or any(map(has_dollar_key, value.values()))
    return isinstance(value, list) and any(map(has_dollar_key, value))


def has_number_beyond(value):
    """Say whether a number in it is none that 64 bits hold, as an integer or not."""
    if isinstance(value, dict | list):
        return any(map(has_number_beyond, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int | float) and not -(2**63) <= value <= 2**63 - 1


@given(VALUES)
def test_what_json_can_say_comes_out_as_it_was(value):
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False).encode()) == value
    assert parse(f" \r\n{json.dumps(value)}\t ".encode()) == value
    assert refusal_of(parse, f"{json.dumps([value])}, 1".encode()) is not None


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parser(body):
    refused = refusal_of(parse, body)
    assert refused is None or refused.message


@given(objects(VALUES))
def test_metadata_is_kept_or_refused_with_a_reason(metadata):
    fits = depth(metadata) <= MAX_METADATA_DEPTH and not has_dollar_key(metadata) and not has_number_beyond(metadata)
    fits = fits and len(msgspec.json.encode(metadata)) <= MAX_METADATA_BYTES
    refused = refusal_of(checked_metadata, metadata)
    assert (refused is None) == fits
    assert refused is None or refused.param == "metadata"
    assert not fits or checked_metadata(metadata) == metadata


@pytest.mark.parametrize("innermost", [{"a": 1}, {}, [1], []])
def test_metadata_may_be_as_deep_as_the_refusal_says(innermost):
    fits = innermost
    for _ in range(MAX_METADATA_DEPTH - 1):
        fits = {"a": fits}
    assert checked_metadata(fits) == fits
    assert f"{MAX_METADATA_DEPTH} levels" in refusal_of(checked_metadata, {"a": fits}).message


@pytest.mark.parametrize("value", [math.inf, -math.inf, 2**63, -(2**63) - 1])
def test_numbers_that_the_store_cannot_hold_are_refused(value):
    with pytest.raises(InvalidRequest):
        checked_metadata({"a": [value]})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"total_chunks": "2"}, "total_chunks"),
        ({"total_chunks": 2.5}, "total_chunks"),
        ({"total_chunks": None}, "total_chunks"),
        ({"total_chunks": 1, "duration_ms": "5"}, "duration_ms"),
    ],
)
def test_wrong_types_are_refused_not_coerced(body, param):
    with pytest.raises(InvalidRequest) as refused:
        decode(json.dumps(body).encode(), FinalizeRecording)
    assert refused.value.param == param


@given(st.dictionaries(st.sampled_from(CreateRecording.__struct_fields__), VALUES))
def test_any_values_of_known_fields_are_taken_or_refused_by_name(body):
    refused = refusal_of(decode, json.dumps(body).encode(), CreateRecording)
    assert refused is None or refused.param.partition(".")[0].partition("[")[0] in body


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (CompleteUpload, {"content_sha256": "a" * 64}),
        (CompleteUpload, {"file_size_bytes": "120"}),
        (FinalizeRecording, {"total_chunks": 1, "checksum_md5": "a" * 32}),
    ],
)
def test_a_text_of_a_form_ends_where_the_form_ends(form, body):
    assert decode(json.dumps(body).encode(), form)
    name, text = list(body.items())[-1]
    refused = refusal_of(decode, json.dumps(body | {name: text + "\n"}).encode(), form)
    assert refused is not None
    assert refused.param == name


WHOLE = [(b"300", 300), (b"300.0", 300), (b"3e2", 300), (b"300.5", None), (b"1e300", None)]


@pytest.mark.parametrize(("written", "taken"), WHOLE)
def test_a_whole_number_is_an_integer_however_it_is_written(written, taken):
    body = b'{"total_chunks": 1, "duration_ms": ' + written + b"}"
    refused = refusal_of(decode, body, FinalizeRecording)
    assert refused.param == "duration_ms" if taken is None else decode(body, FinalizeRecording).duration_ms == taken


def test_metadata_keeps_its_numbers_as_they_were_written():
    body = b'{"recording_generation": 2.0, "metadata": {"a": 2.0}}'
    assert repr(decode(body, CreateRecording).metadata) == "{'a': 2.0}"


@pytest.mark.parametrize(
    ("form", "body", "message"),
    [
        (CreateRecording, b'{"source": "walkman"}', "it is one of api_upload, app_import, device"),
        (Transcribe, b'{"provider": "gemini"}', "it is one of whisper, deepgram, assemblyai, elevenlabs"),
        (Transcribe, b'{"redact": ["numbers", "names"]}', "it is one of numbers, profanity"),
        (Transcribe, b'{"diarization": "yes"}', "Expected `bool | null`, got `str`"),
    ],
)
def test_a_word_that_is_not_known_is_refused_with_those_that_are(form, body, message):
    refused = refusal_of(decode, body, form)
    assert refused.message.endswith(message)
    assert refused.param.partition("[")[0] in {"source", "provider", "redact", "diarization"}


@pytest.mark.parametrize("word", ["x" * 900_000, "a - at `$.name`", "required field `name`"])
def test_what_was_sent_neither_swells_a_refusal_nor_changes_what_it_names(word):
    refused = refusal_of(decode, json.dumps({"source": word}).encode(), CreateRecording)
    assert refused.param == "source"
    assert str(refused).endswith(": it is one of api_upload, app_import, device")
    assert len(str(refused)) < 300
