"""How often a project may call, and how often an address may try a wrong credential (contract A17)."""

import asyncio

import msgspec
import pytest

from services.ingest.join import rates_of
from services.ingest.rates.limiter import Bucket, RateLimiter, Rates
from services.ingest.rates.strangers import Strangers
from services.ingest.refusals import RateLimitExceeded
from services.ingest.settings import ApiSettings
from tests.fakes.answers import FakeWindows
from tests.fakes.ingest import API_SETTINGS, Api, fake_stores

MANY = 10**6
RATES = Rates(requests_per_second=MANY, requests_per_minute=100, upload_urls_per_minute=10, transcriptions_per_minute=5)
AT = 1_800_000_000.0


class Clock:
    def __init__(self):
        self.at = AT

    def __call__(self):
        return self.at


@pytest.fixture
def clock():
    return Clock()


async def admitted(limiter, tries, project="proj_1", bucket=Bucket.REQUESTS):
    """Call `tries` times; how many were let in."""
    count = 0
    for _ in range(tries):
        try:
            await limiter(project, bucket)
        except RateLimitExceeded:
            continue
        count += 1
    return count


async def test_exactly_the_limit_is_let_in_and_the_next_window_begins_anew(clock):
    limiter = RateLimiter(RATES, FakeWindows(), clock)
    assert await admitted(limiter, 150) == 100
    clock.at += 60
    assert await admitted(limiter, 150) == 100


async def test_a_clock_that_is_put_back_refuses_nobody_until_it_has_caught_up(clock):
    limiter = RateLimiter(RATES, FakeWindows(), clock)
    clock.at = AT + 3600
    assert await admitted(limiter, 150) == 100
    clock.at = AT
    assert await admitted(limiter, 150) == 100
    with pytest.raises(RateLimitExceeded) as refused:
        await limiter("proj_1", Bucket.REQUESTS)
    assert refused.value.retry_after_s <= 60


async def test_two_replicas_share_one_limit_and_all_of_it_can_be_had(clock):
    windows = FakeWindows()
    replicas = [RateLimiter(RATES, windows, clock) for _ in range(2)]
    counts = await asyncio.gather(*(admitted(replicas[number % 2], 30) for number in range(10)))
    assert sum(counts) == 100


async def test_most_requests_need_no_round_trip(clock):
    windows = FakeWindows()
    limiter = RateLimiter(msgspec.structs.replace(RATES, requests_per_minute=6000), windows, clock)
    assert await admitted(limiter, 5000) == 5000
    assert windows.calls < 60


async def test_many_at_once_are_not_let_in_beyond_the_limit(clock):
    limiter = RateLimiter(RATES, FakeWindows(), clock)
    outcomes = await asyncio.gather(*(limiter("proj_1", Bucket.REQUESTS) for _ in range(300)), return_exceptions=True)
    assert sum(not isinstance(outcome, RateLimitExceeded) for outcome in outcomes) == 100


async def test_a_project_does_not_feel_another(clock):
    limiter = RateLimiter(RATES, FakeWindows(), clock)
    await admitted(limiter, 150)
    assert await admitted(limiter, 10, project="proj_2") == 10


async def test_the_special_limits_count_beside_the_general_one(clock):
    limiter = RateLimiter(RATES, FakeWindows(), clock)
    assert await admitted(limiter, 20, bucket=Bucket.UPLOAD_URLS) == 10
    assert await admitted(limiter, 20, bucket=Bucket.TRANSCRIPTIONS) == 5
    assert await admitted(limiter, 200) == 85


async def test_a_burst_is_limited_by_the_second(clock):
    rates = msgspec.structs.replace(RATES, requests_per_second=20)
    limiter = RateLimiter(rates, FakeWindows(), clock)
    assert await admitted(limiter, 50) == 20
    clock.at += 1
    assert await admitted(limiter, 50) == 20


async def test_without_the_shared_count_each_replica_keeps_the_limit_by_itself(clock):
    windows = FakeWindows()
    windows.down = True
    limiter = RateLimiter(RATES, windows, clock)
    assert await admitted(limiter, 150) == 100
    assert windows.calls == 1  # it is left alone for a while
    windows.down = False
    clock.at += 60
    assert await admitted(limiter, 150) == 100
    assert windows.calls > 1


async def test_a_clock_that_is_put_back_in_an_outage_does_not_lengthen_it(clock):
    windows = FakeWindows()
    windows.down = True
    limiter = RateLimiter(RATES, windows, clock)
    clock.at = AT + 3600
    await admitted(limiter, 1)
    windows.down = False
    clock.at = AT
    await admitted(limiter, 1)
    assert sum(windows.taken.values()) > 0


async def test_what_was_let_in_without_the_shared_count_is_added_to_it_afterwards(clock):
    windows = FakeWindows()
    one, two = (RateLimiter(RATES, windows, clock) for _ in range(2))
    windows.down = True
    assert await admitted(one, 40) == 40
    windows.down = False
    clock.at += 6
    assert await admitted(one, 20) + await admitted(two, 150) + await admitted(one, 150) == 60


async def test_a_limit_that_was_used_up_without_the_shared_count_is_added_to_it_afterwards_too(clock):
    windows = FakeWindows()
    one, two = (RateLimiter(RATES, windows, clock) for _ in range(2))
    windows.down = True
    assert await admitted(one, 150) == 100
    windows.down = False
    clock.at += 6
    assert await admitted(one, 10) == 0
    while (counts := one._windows["proj_1"][Bucket.REQUESTS][0])._asking is not None:
        await counts._asking
    assert (await admitted(two, 150), await admitted(one, 10)) == (0, 0)


async def test_a_slow_count_is_waited_for_so_that_load_does_not_lift_the_limit(clock):
    class Slow(FakeWindows):
        async def take(self, window_id, count, expires_at):
            if self.calls == 2:
                await asyncio.sleep(0.5)
            return await super().take(window_id, count, expires_at)

    windows = Slow()
    replicas = [RateLimiter(RATES, windows, clock) for _ in range(2)]
    counts = await asyncio.gather(*(admitted(replicas[number % 2], 30) for number in range(10)))
    assert sum(counts) == 100


async def test_a_count_that_hangs_is_not_waited_for(clock):
    class Hanging:
        async def take(self, window_id, count, expires_at):
            await asyncio.Event().wait()

    async with asyncio.timeout(5):
        assert await admitted(RateLimiter(RATES, Hanging(), clock), 10) == 10


async def test_a_count_that_is_slower_than_its_window_holds_nobody_up():
    class Slow(FakeWindows):
        async def take(self, window_id, count, expires_at):
            await asyncio.sleep(1.2)  # of a limit by the second, the window is over before its count is there
            return await super().take(window_id, count, expires_at)

    async with asyncio.timeout(8):
        assert await admitted(RateLimiter(RATES, Slow()), 10) == 10


async def test_memory_is_bounded_however_many_projects_call(clock, monkeypatch):
    monkeypatch.setattr("services.ingest.rates.limiter._MOST_PROJECTS", 50)
    limiter = RateLimiter(RATES, FakeWindows(), clock)
    for number in range(200):
        await limiter(f"proj_{number}", Bucket.REQUESTS)
    assert len(limiter._windows) == 50


def scope(address="203.0.113.5", forwarded=None):
    return {"client": (address, 1), "headers": [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]}


def used_up(strangers, one):
    try:
        strangers.check(one)
    except RateLimitExceeded:
        return True
    return False


def test_wrong_credentials_are_counted_by_address_and_minute(clock):
    strangers = Strangers(3, clock=clock)
    for _ in range(3):
        strangers.check(scope())
        strangers.note_failure(scope())
    assert used_up(strangers, scope())
    assert not used_up(strangers, scope("203.0.113.6"))
    clock.at += 60
    assert not used_up(strangers, scope())


@pytest.mark.parametrize(
    ("one", "another", "same"),
    [
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.5", "::ffff:203.0.113.6", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_an_ipv6_client_is_its_network(clock, one, another, same):
    strangers = Strangers(1, clock=clock)
    strangers.note_failure(scope(one))
    assert used_up(strangers, scope(another)) is same


@pytest.mark.parametrize(
    ("proxies", "forwarded", "counted"),
    [
        (0, "198.51.100.1", "203.0.113.5"),
        (1, "10.0.0.1, 198.51.100.1", "198.51.100.1"),
        (2, "10.0.0.1, 198.51.100.1", "10.0.0.1"),
        (3, "10.0.0.1, 198.51.100.1", "203.0.113.5"),
        (1, "not an address", "203.0.113.5"),
        (1, None, "203.0.113.5"),
    ],
)
def test_only_what_our_own_proxies_say_of_a_client_counts(clock, proxies, forwarded, counted):
    strangers = Strangers(1, proxies, clock)
    assert strangers._address(scope(forwarded=forwarded)) == counted


def test_memory_is_bounded_however_many_addresses_try(clock, monkeypatch):
    monkeypatch.setattr("services.ingest.rates.strangers._MOST_ADDRESSES", 50)
    strangers = Strangers(1, clock=clock)
    for number in range(200):
        strangers.note_failure(scope(f"10.0.0.{number}"))
    assert len(strangers._failures) == 50


def test_the_default_limits_are_those_of_the_contract():
    given = {"public_url": "http://a", "admin_token": "x" * 16, "signing_secret": "x" * 16}
    defaults = Rates(requests_per_second=100, requests_per_minute=6000, upload_urls_per_minute=600, transcriptions_per_minute=300)
    assert rates_of(msgspec.convert(given, ApiSettings)) == defaults


@pytest.fixture
async def limited(clock, monkeypatch):
    """The API with narrow limits and a clock that stands still, so that no window ends in the middle of a test."""
    monkeypatch.setattr(RateLimiter.__init__, "__defaults__", (clock,))
    monkeypatch.setattr(Strangers.__init__, "__defaults__", (0, clock))
    narrow = {"requests_per_minute": 20, "upload_urls_per_minute": 2, "transcriptions_per_minute": 2, "failures_per_minute": 3}
    settings = msgspec.structs.replace(API_SETTINGS, **narrow)
    api = await Api(fake_stores(), settings).open()
    yield api
    await api.client.aclose()


def numbers(response):
    return tuple(int(response.headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining", "reset"))


async def test_every_answer_says_how_its_project_stands(limited):
    first, second = [await limited.call("GET", "/recordings") for _ in range(2)]
    assert numbers(first)[:2] == (20, 19)
    assert numbers(second)[:2] == (20, 18)
    assert numbers(first)[2] == AT + 60


async def test_beyond_the_limit_the_answer_says_when_to_come_again(limited):
    answers = [await limited.call("GET", "/recordings") for _ in range(25)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 5
    assert refused[0].json()["error"]["code"] == "rate_limit_exceeded"
    assert "20 requests a minute" in refused[0].json()["error"]["message"]
    assert 1 <= int(refused[0].headers["retry-after"]) <= 60
    assert numbers(refused[0])[:2] == (20, 0)


async def test_both_modes_of_a_project_share_its_limits(limited):
    test_key = await limited.new_key(limited.project_id, mode="test")
    await limited.call("GET", "/recordings")
    assert numbers(await limited.call("GET", "/recordings", secret=test_key))[1] == 18


async def test_upload_urls_and_transcriptions_have_limits_of_their_own(limited):
    recording = await limited.recording()
    path = f"/recordings/{recording['id']}"
    uploads = [await limited.call("POST", f"{path}/upload-url", {"type": "image"}) for _ in range(3)]
    assert [answer.status_code for answer in uploads] == [200, 200, 429]
    assert numbers(uploads[0])[:2] == (2, 1)
    jobs = [await limited.call("POST", f"{path}/transcribe", {}) for _ in range(3)]
    assert [answer.status_code for answer in jobs] == [400, 400, 429]


async def test_urls_of_chunks_count_as_upload_urls_and_either_way_to_start_a_transcription_counts(limited):
    recording = await limited.recording()
    path, body = f"/recordings/{recording['id']}", {"from": 1, "count": 1}
    urls = [await limited.call("POST", f"{path}/chunk-urls", body) for _ in range(2)]
    assert [answer.headers["x-ratelimit-limit"] for answer in urls] == ["2", "2"]
    assert (await limited.refused("POST", f"{path}/upload-url", {}))[0] == 429
    await limited.call("POST", f"{path}/transcribe", {})
    await limited.call("POST", "/transcriptions", {"recording_id": recording["id"]})
    assert (await limited.refused("POST", f"{path}/transcribe", {}))[0] == 429


async def test_a_device_that_streams_is_never_told_to_lose_a_chunk(limited):
    recording = await limited.recording(streaming=True)
    assert {(await limited.put_chunk(recording, number)).status_code for number in range(1, 60)} == {200}
    relay = f"/recordings/{recording['id']}/upload-relay/chunk"
    audio = {"Content-Type": "audio/ogg"}
    answers = [await limited.call("POST", f"{relay}/{seq}", b"OggS a chunk", headers=audio) for seq in range(60, 100)]
    assert {answer.status_code for answer in answers} == {200}
    assert {numbers(answer)[:2] for answer in answers} == {numbers(answers[0])[:2]}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/health", 200), ("GET", "/nowhere", 404), ("DELETE", "/health", 405), ("GET", "/v1/recordings", 401)],
)
async def test_answers_to_nobody_in_particular_tell_of_the_address(limited, method, path, status):
    response = await limited.call(method, f"{limited.url}{path}", secret="")
    assert response.status_code == status
    assert numbers(response)[:2] == (3, 3)


async def test_after_too_many_wrong_credentials_none_is_looked_up_but_known_ones_are_served(limited):
    await limited.call("GET", "/recordings")  # now the key is known here
    fresh = await limited.new_key(limited.project_id)
    statuses = [(await limited.call("GET", "/recordings", secret=f"sk_live_{'x' * 39}{tail}")).status_code for tail in "abcde"]
    assert statuses == [401, 401, 401, 429, 429]
    lookups = limited.stores.keys.lookups
    refused = await limited.call("GET", "/recordings", secret=fresh)
    assert (refused.status_code, numbers(refused)[:2]) == (429, (3, 0))
    assert int(refused.headers["retry-after"]) >= 1
    assert limited.stores.keys.lookups == lookups
    assert (await limited.call("GET", "/recordings")).status_code == 200


async def test_whoever_shows_no_credential_has_tried_none(limited):
    statuses = {(await limited.call("GET", path, secret="")).status_code for path in ("/recordings", "/admin/projects") * 5}
    assert statuses == {401}
    assert (await limited.call("GET", "/recordings")).status_code == 200


async def test_the_admin_token_cannot_be_guessed_at_speed(limited):
    statuses = [(await limited.call("GET", "/admin/projects", secret=f"wrong-{n}")).status_code for n in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert (await limited.call("GET", "/admin/projects", secret=limited.admin_token)).status_code == 429
