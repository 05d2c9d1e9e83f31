"""Keys of objects: built and read back in one place."""

import pytest

from shared.domain.object_keys import chunk_key, chunk_number, chunk_prefix, media_key, recording_prefix


def test_a_chunk_lies_below_its_recording() -> None:
    assert chunk_key("proj_1", "rec_2", 7) == "proj_1/rec_2/chunks/000007"
    assert chunk_key("proj_1", "rec_2", 7).startswith(chunk_prefix("proj_1", "rec_2"))
    assert chunk_prefix("proj_1", "rec_2").startswith(recording_prefix("proj_1", "rec_2"))


def test_a_media_file_lies_beside_the_chunks() -> None:
    assert media_key("proj_1", "rec_2", "med_3", "audio.ogg") == "proj_1/rec_2/med_3/audio.ogg"


@pytest.mark.parametrize("number", [1, 42, 999_999, 1_000_000])
def test_a_number_is_read_back_from_its_key(number: int) -> None:
    assert chunk_number(chunk_key("proj_1", "rec_2", number)) == number


def test_keys_sort_as_their_numbers_do() -> None:
    keys = [chunk_key("p", "r", number) for number in (1, 2, 9, 10, 99, 100, 12_345)]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "p/r/chunks/",
        "p/r/chunks/7",
        "p/r/chunks/000000",
        "p/r/chunks/0000007",
        "p/r/chunks/00000x",
        "p/r/med/000001",
        "p/r/s/chunks/000001",
        "p/r/chunks/000001\n",
        "p/r/chunks/\u0660\u0660\u0660\u0660\u0660\u0661",
    ],
)
def test_any_other_key_is_no_chunk(key: str) -> None:
    assert chunk_number(key) is None
