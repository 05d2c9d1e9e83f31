"""What the API signs: chunk URLs and cursors. What was touched, or is another's, is refused."""

from urllib.parse import parse_qs

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.paging import Pager, PageRequest
from services.ingest.refusals import Forbidden, InvalidRequest, UploadUrlExpired
from services.ingest.signatures import ChunkGrant, ChunkQuery, Signatures
from shared.domain.tenant import Mode, Tenant

SIGNATURES = Signatures("a secret of the deployment")
GRANT = ChunkGrant(tenant=Tenant("proj_1", Mode.LIVE), recording_id="rec_1", expires=2_000_000_000)
BEFORE, AFTER = 1_999_999_999, 2_000_000_001


def query_of(grant):
    return ChunkQuery(**{name: values[0] for name, values in parse_qs(SIGNATURES.chunk_query(grant)).items()})


def test_a_grant_comes_back_as_it_was_made():
    assert SIGNATURES.chunk_grant("rec_1", query_of(GRANT), BEFORE) == GRANT


def test_replicas_with_the_same_secret_accept_each_others_grants_and_others_do_not():
    assert Signatures("a secret of the deployment").chunk_grant("rec_1", query_of(GRANT), BEFORE) == GRANT
    with pytest.raises(Forbidden):
        Signatures("another secret").chunk_grant("rec_1", query_of(GRANT), BEFORE)


def test_a_grant_ends():
    with pytest.raises(UploadUrlExpired):
        SIGNATURES.chunk_grant("rec_1", query_of(GRANT), AFTER)


@pytest.mark.parametrize(
    "change",
    [
        {"project": "proj_2"},
        {"mode": "test"},
        {"mode": "both"},
        {"expires": "2000000001"},
        {"expires": "soon"},
        {"expires": "9" * 5000},
        *(
            {"expires": text}
            for text in ("+2000000000", "02000000000", " 2000000000", "2000000000\n", "2_000_000_000", "٢٠٠٠٠٠٠٠٠٠")
        ),
        {"signature": ""},
        {"signature": "0" * 64},
        {"signature": "€"},
    ],
)
def test_a_grant_that_was_touched_is_none(change):
    with pytest.raises(Forbidden):
        SIGNATURES.chunk_grant("rec_1", msgspec.structs.replace(query_of(GRANT), **change), BEFORE)


def test_a_grant_is_for_one_recording():
    with pytest.raises(Forbidden):
        SIGNATURES.chunk_grant("rec_2", query_of(GRANT), BEFORE)


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
def test_a_cursor_holds_its_position(position):
    cursor = SIGNATURES.cursor(GRANT.tenant, "recordings", position)
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert SIGNATURES.position(GRANT.tenant, "recordings", cursor) == position


@given(st.text(max_size=80))
def test_a_made_up_cursor_is_refused(cursor):
    with pytest.raises(InvalidRequest):
        SIGNATURES.position(GRANT.tenant, "recordings", cursor)


@pytest.mark.parametrize(
    ("tenant", "listing"), [(Tenant("proj_2"), "recordings"), (Tenant("proj_1", Mode.TEST), "recordings"), (GRANT.tenant, "keys")]
)
def test_a_cursor_of_another_list_is_refused(tenant, listing):
    cursor = SIGNATURES.cursor(GRANT.tenant, "recordings", "rec_1")
    with pytest.raises(InvalidRequest):
        SIGNATURES.position(tenant, listing, cursor)


class Row(msgspec.Struct):
    id: str


@given(
    present=st.sets(st.integers(0, 60), min_size=1, max_size=30),
    steps=st.lists(st.tuples(st.sets(st.integers(0, 60)), st.sets(st.integers(61, 90))), max_size=8),
    limit=st.integers(1, 7),
)
async def test_paging_while_rows_come_and_go_never_skips_nor_repeats_one_that_stood(present, steps, limit):
    rows, stood, changes = set(present), set(present), iter(steps)

    async def read(count, before, offset):
        found = sorted((f"row_{row:03d}" for row in rows), reverse=True)
        return [Row(item) for item in found if before is None or item < before][offset : offset + count]

    seen, cursor = [], None
    while True:
        page = await Pager(SIGNATURES).page(GRANT.tenant, "rows", PageRequest(limit, None, cursor), read)
        assert len(page.items) <= limit
        seen += [row.id for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
        gone, come = next(changes, (set(), set()))
        rows -= gone
        rows |= come
        stood -= gone
    assert len(seen) == len(set(seen))
    assert {f"row_{row:03d}" for row in stood} <= set(seen)
