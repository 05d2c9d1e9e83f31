"""The sender against real servers that behave badly: each costs an answer with a reason, bounded time and bounded memory."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import threading
import time
import tracemalloc

import pytest
from aiohttp import web

from services.webhooks.http_sender import EXCERPT_BYTES, READ_MOST_S, HttpSender, SenderSettings
from services.webhooks.targets import Targets
from shared.domain.delivery import AttemptError
from tests.fakes.webhook_receiver import Receiver, eventually

BODY = b'{"id":"evt_1"}'
RESTS = [b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n", b"content-length: 1\r\n\r\nok", b"\r\nok", b"x: %030000d\r\n\r\n" % 0]


@pytest.fixture
async def make_sender():
    senders = []

    async def make(*, allow_private=True, lookup=socket.getaddrinfo, **settings):
        targets = Targets(allow_private=allow_private, lookup=lookup)
        sender = HttpSender(SenderSettings(**({"timeout_s": 5.0} | settings)), targets)
        await sender.start()
        senders.append(sender)
        return sender

    yield make
    for sender in senders:
        await sender.close()


@pytest.fixture
async def sender(make_sender):
    return await make_sender()


@pytest.fixture
async def make_receiver():
    receivers = []

    async def make(*script, **options):
        receiver = await Receiver(*script, default=options.pop("default", 200)).start(**options)
        receivers.append(receiver)
        return receiver

    yield make
    for receiver in receivers:
        await receiver.stop()


@pytest.fixture
async def serve_raw():
    """A server of bytes: `handle(reader, writer)` per connection."""
    servers = []

    async def serve(handle):
        async def guarded(reader, writer):
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handle(reader, writer)
            writer.close()

        server = await asyncio.start_server(guarded, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    yield serve
    for server in servers:
        server.close()


async def read_request(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return head, await reader.readexactly(length)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_every_2xx_is_accepted(sender, make_receiver, status):
    receiver = await make_receiver(status)
    answer = await sender.post(receiver.url(), {}, BODY)
    assert (answer.accepted, answer.status_code, answer.error) == (True, status, None)


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 400, 401, 404, 409, 410, 429, 500, 503])
async def test_everything_else_is_not(sender, make_receiver, status):
    receiver = await make_receiver(status)
    answer = await sender.post(receiver.url(), {}, BODY)
    assert (answer.accepted, answer.status_code) == (False, status)


async def test_the_request_is_what_was_signed(sender, make_receiver):
    receiver = await make_receiver()
    await sender.post(receiver.url("/a%20b?x=1"), {"X-Bota-Event-Id": "evt_1", "webhook-id": "evt_1"}, BODY)
    (heard,) = receiver.heard
    names = [name for name, _ in heard.headers]
    assert heard.body == BODY
    assert heard.header("Content-Length") == "14"
    assert heard.header("X-Bota-Event-Id") == "evt_1"
    assert len(names) == len({name.lower() for name in names})
    assert not {"Cookie", "Transfer-Encoding", "Content-Encoding", "Expect"} & set(names)


async def test_cookies_are_not_kept(sender, make_receiver):
    async def setting(_request):
        return web.Response(headers={"Set-Cookie": "a=b"})

    receiver = await make_receiver(default=setting)
    for _ in range(2):
        await sender.post(receiver.url(host="localhost"), {}, BODY)
    assert not any(heard.has("Cookie") for heard in receiver.heard)


async def test_connections_are_used_again(sender, serve_raw):
    connections = []

    async def handle(reader, writer):
        connections.append(writer)
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    url = await serve_raw(handle)
    for _ in range(5):
        assert (await sender.post(url, {}, BODY)).response == "ok"
    assert len(connections) == 1


async def test_an_idle_connection_closed_under_our_hands_is_not_a_failure(sender, serve_raw):
    seen = []

    async def handle(reader, writer):
        seen.append((await read_request(reader))[1])
        if len(seen) == 2:
            return  # on the second connection: a real failure
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await read_request(reader)
        seen.append("dropped")

    url = await serve_raw(handle)
    assert (await sender.post(url, {}, BODY)).accepted
    answer = await sender.post(url, {}, BODY)
    assert seen == [BODY, "dropped", BODY]
    assert answer.accepted


async def test_a_new_connection_closed_without_an_answer_is_a_failure(sender, serve_raw):
    seen = []

    async def handle(reader, _writer):
        seen.append((await read_request(reader))[1])

    answer = await sender.post(await serve_raw(handle), {}, BODY)
    assert (answer.error, seen) == (AttemptError.CONNECTION_FAILED, [BODY])


async def test_a_huge_answer_is_not_read(sender, serve_raw):
    sent = 0

    async def handle(reader, writer):
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    url = await serve_raw(handle)
    tracemalloc.start()
    answer = await sender.post(url, {}, BODY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.status_code, answer.response) == (200, "x" * EXCERPT_BYTES)
    assert peak < 4_000_000
    assert sent < 32_000_000


@pytest.mark.parametrize("timeout_s", [30, 0.3])
async def test_an_answer_that_drips_counts_by_its_status(make_sender, serve_raw, timeout_s):
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 1000\r\n\r\nbegun")
        await reader.read()  # until the client has had enough

    sender = await make_sender(timeout_s=timeout_s)
    began = time.monotonic()
    answer = await sender.post(await serve_raw(handle), {}, BODY)
    assert (answer.status_code, answer.response) == (202, "begun")
    assert time.monotonic() - began < READ_MOST_S + 10


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_an_invalid_response(sender, serve_raw, garbage):
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(garbage)
        await writer.drain()
        await reader.read()

    answer = await sender.post(await serve_raw(handle), {}, BODY)
    assert answer.error in (AttemptError.INVALID_RESPONSE, AttemptError.CONNECTION_FAILED)


@pytest.mark.parametrize("rest", RESTS, ids=["end of chunks", "longer than announced", "body", "long header"])
async def test_whatever_else_an_answer_has_its_status_counts(sender, serve_raw, rest):
    async def handle(reader, writer):
        while True:
            await read_request(reader)
            writer.write(b"HTTP/1.1 204 No Content\r\n" + rest)

    url = await serve_raw(handle)
    assert [(await sender.post(url, {}, BODY)).status_code for _ in range(3)] == 3 * [204]


async def test_the_late_rest_of_an_answer_is_not_the_next_one(sender, serve_raw):
    connections = []

    async def handle(reader, writer):
        connections.append(writer)
        await read_request(reader)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await read_request(reader)
        writer.write(b"ok")

    url = await serve_raw(handle)
    assert [(await sender.post(url, {}, BODY)).status_code for _ in range(2)] == [204, 204]
    assert len(connections) == 2


async def test_endless_headers_end_with_the_time_limit_or_sooner(sender, serve_raw):
    async def handle(reader, writer):
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x-filler: " + b"y" * 4_000 + b"\r\n")
            await writer.drain()

    tracemalloc.start()
    answer = await sender.post(await serve_raw(handle), {}, BODY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code is None
    assert peak < 64_000_000


async def test_a_receiver_that_says_nothing_times_out(make_sender, serve_raw):
    async def handle(reader, _writer):
        await reader.read()

    sender = await make_sender(timeout_s=0.2)
    assert (await sender.post(await serve_raw(handle), {}, BODY)).error is AttemptError.TIMEOUT


async def test_a_name_server_that_says_nothing_times_out_and_holds_up_nobody(make_sender, make_receiver):
    receiver = await make_receiver()

    answered = threading.Event()

    def lookup(host, *rest):
        if host == "slow.example":
            answered.wait(60)
        return socket.getaddrinfo("127.0.0.1", *rest)

    sender = await make_sender(timeout_s=4, lookup=lookup)
    slow = [asyncio.create_task(sender.post(f"http://slow.example:{receiver.port}/", {}, BODY)) for _ in range(20)]
    assert (await sender.post(receiver.url(host="quick.example"), {}, BODY)).accepted
    assert {answer.error for answer in await asyncio.gather(*slow)} == {AttemptError.TIMEOUT}
    answered.set()


async def test_nothing_listens(sender):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = await sender.post(f"http://127.0.0.1:{unused.getsockname()[1]}/", {}, BODY)
    assert answer.error is AttemptError.CONNECTION_FAILED


async def test_a_name_that_does_not_exist(make_sender):
    def unknown(*_):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    sender = await make_sender(lookup=unknown)
    assert (await sender.post("https://nowhere.example/", {}, BODY)).error is AttemptError.DNS_FAILED


@pytest.mark.parametrize(
    "url", ["", "ftp://a.example/", "http://", "https://[::1", "not a url", "http://a.example:99999/", "file:///etc/passwd"]
)
async def test_what_is_no_url_of_ours_is_refused(sender, url):
    answer = await sender.post(url, {}, BODY)
    assert answer.error in (AttemptError.INVALID_URL, AttemptError.DNS_FAILED)


async def test_private_addresses_are_refused_without_a_connection(make_sender, make_receiver):
    receiver = await make_receiver()
    sender = await make_sender(allow_private=False)
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "127.1", "0"):
        answer = await sender.post(receiver.url(host=host), {}, BODY)
        assert answer.error is not None, host
    assert (await sender.post(receiver.url(), {}, BODY)).error is AttemptError.ADDRESS_REFUSED
    assert receiver.heard == []


async def test_a_name_that_turns_inward_is_refused(make_sender, make_receiver):
    receiver = await make_receiver()
    answers = iter(["192.0.2.1", "127.0.0.1", "127.0.0.1"])
    asked = []

    def rebinding(host, port, *_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    sender = await make_sender(allow_private=False, lookup=rebinding)
    for _ in range(3):
        answer = await sender.post(receiver.url(host="rebinding.example"), {}, BODY)
        assert answer.error is AttemptError.ADDRESS_REFUSED
    assert receiver.heard == []
    assert len(asked) == 3


async def test_the_connection_goes_to_the_address_that_was_checked(make_sender, make_receiver):
    receiver = await make_receiver()
    asked = []

    def once(host, *rest):
        asked.append(host)
        return socket.getaddrinfo("127.0.0.1", *rest)

    sender = await make_sender(lookup=once)
    assert (await sender.post(receiver.url(host="once.example"), {}, BODY)).accepted
    assert asked == ["once.example"]
    assert receiver.heard[0].header("Host") == f"once.example:{receiver.port}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for `localhost` that signs itself."""
    folder = tmp_path_factory.mktemp("tls")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    try:
        subprocess.run([*command, *names, *files], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl program to make a certificate with")
    return folder


@pytest.fixture
async def tls_receiver(certificate, make_receiver):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return await make_receiver(ssl_context=context)


async def test_a_certificate_that_nobody_vouches_for_is_a_failure(sender, tls_receiver):
    answer = await sender.post(tls_receiver.url(host="localhost"), {}, BODY)
    assert (answer.error, tls_receiver.heard) == (AttemptError.TLS_FAILED, [])


async def test_a_certificate_authority_of_ones_own_can_be_trusted(make_sender, tls_receiver, certificate):
    sender = await make_sender(ca_file=certificate / "cert.pem")
    assert (await sender.post(tls_receiver.url(host="localhost"), {}, BODY)).accepted
    assert (await sender.post(tls_receiver.url(host="127.0.0.1"), {}, BODY)).error is AttemptError.TLS_FAILED


async def test_https_to_a_plain_server_is_a_failure(sender, make_receiver):
    receiver = await make_receiver()
    answer = await sender.post(receiver.url().replace("http:", "https:"), {}, BODY)
    assert answer.error is AttemptError.TLS_FAILED


async def test_nothing_stays_open_after_cut_requests(make_sender, serve_raw):
    opened, closed = [], []

    async def handle(reader, writer):
        opened.append(writer)
        await reader.read()
        closed.append(writer)

    sender = await make_sender(timeout_s=1.0)
    url = await serve_raw(handle)
    await asyncio.gather(*(sender.post(url, {}, BODY) for _ in range(10)))
    await eventually(lambda: len(opened) == len(closed) == 10)
