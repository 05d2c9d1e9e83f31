"""Keys of objects: built and read back in one place."""

import pytest

from shared.domain.ids import new_ulid
from shared.domain.object_keys import (
    chunk_key,
    chunk_of,
    chunk_prefix,
    manifest_key,
    manifest_prefix,
    media_key,
    media_prefix,
    recording_prefix,
)

UPLOAD = "01J9ZW3V8N7Q2D5X6Y4T1RBSCE"


def test_a_chunk_lies_below_its_recording() -> None:
    assert chunk_key("proj_1", "rec_2", 7, UPLOAD) == f"proj_1/rec_2/chunks/000007.{UPLOAD}"
    assert chunk_key("proj_1", "rec_2", 7, UPLOAD).startswith(chunk_prefix("proj_1", "rec_2"))
    assert chunk_prefix("proj_1", "rec_2").startswith(recording_prefix("proj_1", "rec_2"))


def test_media_files_and_manifests_lie_beside_the_chunks() -> None:
    assert media_key("proj_1", "rec_2", "med_3", "audio.ogg") == "proj_1/rec_2/med_3/audio.ogg"
    assert media_key("proj_1", "rec_2", "med_3", "audio.ogg").startswith(media_prefix("proj_1", "rec_2", "med_3"))
    assert manifest_key("proj_1", "rec_2", UPLOAD) == f"proj_1/rec_2/manifests/{UPLOAD}"
    assert manifest_key("proj_1", "rec_2", UPLOAD).startswith(manifest_prefix("proj_1", "rec_2"))


@pytest.mark.parametrize("number", [1, 42, 999_999, 1_000_000])
def test_a_number_and_an_upload_are_read_back_from_their_key(number: int) -> None:
    upload = new_ulid()
    assert chunk_of(chunk_key("proj_1", "rec_2", number, upload)) == (number, upload)


def test_keys_sort_as_their_numbers_do() -> None:
    keys = [chunk_key("p", "r", number, UPLOAD) for number in (1, 2, 9, 10, 99, 100, 12_345)]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "p/r/chunks/",
        "p/r/chunks/000001",
        f"p/r/chunks/7.{UPLOAD}",
        f"p/r/chunks/000000.{UPLOAD}",
        f"p/r/chunks/0000007.{UPLOAD}",
        f"p/r/chunks/00000x.{UPLOAD}",
        f"p/r/chunks/000001.{UPLOAD}\n",
        f"p/r/chunks/000001.{UPLOAD[1:]}",
        f"p/r/chunks/000001.{UPLOAD.lower()}",
        f"p/r/med/000001.{UPLOAD}",
        f"p/r/s/chunks/000001.{UPLOAD}",
        f"p/r/chunks/\u0660\u0660\u0660\u0660\u0660\u0661.{UPLOAD}",
        f"p/r/manifests/{UPLOAD}",
    ],
)
def test_any_other_key_is_no_chunk(key: str) -> None:
    assert chunk_of(key) is None
