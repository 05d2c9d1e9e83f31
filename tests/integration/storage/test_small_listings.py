"""Listings over the lean connections: what finalize relies on comes whole, or the store is unavailable; never a part of it."""

import pytest

from shared.storage.objects import ObjectStoreRefused, ObjectStoreUnavailable

ENTRY = "<Contents><Key>p/r/chunks/{:06}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><Size>7</Size></Contents>"


def page(first, last, token=""):
    entries = "".join(ENTRY.format(number) for number in range(first, last + 1))
    following = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f"<ListBucketResult><EncodingType>url</EncodingType>{entries}{following}</ListBucketResult>".encode()


def answers(body, status="200 OK"):
    async def fault(server, stream, head):
        await server.take(stream, head)
        server.answer(stream, status, body=body)
        return True

    return fault


async def answers_in_chunks(server, stream, head):
    await server.take(stream, head)
    body = page(1, 3)
    parts = [body[:50], body[50:]]
    coded = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    stream[1].write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + coded)
    return True


async def breaks_off(server, stream, head):
    await server.take(stream, head)
    body = page(1, 3)
    stream[1].write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:-30])
    await stream[1].drain()


async def breaks_off_between_chunks(server, stream, head):
    await server.take(stream, head)
    stream[1].write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(page(1, 3)), page(1, 3)))
    await stream[1].drain()


async def never_ends(server, stream, head):
    await server.take(stream, head)
    stream[1].write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    for _ in range(100):
        stream[1].write(bytes(1024 * 1024))
        await stream[1].drain()


async def numbers(store):
    return [int(found.key[-6:]) for found in await store.list("p/r/chunks/")]


async def test_pages_come_one_after_the_other_over_one_connection(server, store):
    server.faults = [answers(page(1, 1000, "more")), answers(page(1001, 1500))]
    assert await numbers(store) == list(range(1, 1501))
    assert server.connections == 1
    assert [method for method, _, _ in server.requests] == ["GET", "GET"]
    assert "continuation-token=more" in server.requests[1][1]


async def test_a_listing_may_be_sent_in_chunks(server, store):
    server.faults = [answers_in_chunks]
    assert await numbers(store) == [1, 2, 3]


@pytest.mark.parametrize("fault", [breaks_off, breaks_off_between_chunks, answers(b"", "503 Slow Down")])
async def test_a_fault_that_passes_is_not_noticed(server, store, fault):
    server.faults = [fault, answers(page(1, 3))]
    assert await numbers(store) == [1, 2, 3]


@pytest.mark.parametrize(
    "fault", [breaks_off, breaks_off_between_chunks, never_ends, answers(b"<html/>"), answers(page(1, 3)[:-5]), answers(b"")]
)
async def test_what_is_no_whole_listing_is_an_unavailable_store(server, store, fault):
    server.always = fault
    with pytest.raises(ObjectStoreUnavailable):
        await store.list("p/r/chunks/")


async def test_a_refused_listing_says_why(server, store):
    server.faults = [answers(b"<Error><Code>AccessDenied</Code><Message>No</Message></Error>", "403 Forbidden")]
    with pytest.raises(ObjectStoreRefused, match="GET bucket: 403 AccessDenied No"):
        await store.list("p/r/chunks/")


async def test_a_listing_that_says_there_is_more_but_not_where_is_none(server, store):
    server.always = answers(page(1, 3).replace(b"<EncodingType>", b"<IsTruncated>true</IsTruncated><EncodingType>"))
    with pytest.raises(ObjectStoreUnavailable, match="not a listing"):
        await store.list("p/r/chunks/")
