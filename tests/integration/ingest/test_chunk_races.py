"""Chunks against finalizes on real servers and two replicas: what is joined is what every sender was told."""

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.chunks import decoded_manifest
from shared.domain.object_keys import chunk_key
from shared.domain.tenant import Tenant
from tests.integration.ingest.conftest import until

NUMBERS = range(1, 7)


@pytest.fixture
async def replicas(deployment):
    """Two replicas with one project."""
    async with deployment.replica() as one, deployment.replica() as two:
        await one.open()
        two.project_id, two.secret = one.project_id, one.secret
        yield one, two


class Upload:
    """One recording, its senders, and what they were told: the numbers of acknowledged and refused contents."""

    def __init__(self, replicas, recording):
        self.replicas, self.recording = replicas, recording
        self.acknowledged, self.refused, self.past = {}, {}, {}

    async def send(self, api, number, content):
        url = self.recording["chunk_upload_url_template"].replace(self.replicas[0].url, api.url)
        answer = await api.client.put(url.format(chunk_number=number), content=content)
        assert answer.status_code in {200, 409}, answer.text
        (self.acknowledged if answer.status_code == 200 else self.refused).setdefault(number, []).append(content)

    async def send_past(self, api, number, content):
        body = {"from": number, "count": 1}
        offer = await api.call("POST", f"/recordings/{self.recording['id']}/chunk-urls", body)
        if offer.is_success:
            assert (await api.client.put(offer.json()["data"][0]["upload_url"], content=content)).is_success
            self.past.setdefault(number, []).append(content)

    async def close(self, api):
        body = {"total_chunks": len(NUMBERS), "final_duration_ms": 1}
        answer = await api.call("POST", f"/recordings/{self.recording['id']}/finalize", body)
        assert answer.status_code in {200, 409}, answer.text
        return answer

    async def joined(self):
        """Return what the stitcher would read, by number."""
        service, project = self.replicas[0].service, self.replicas[0].project_id
        manifest = await service._platform.recordings.manifest(Tenant(project), self.recording["id"])
        uploads = decoded_manifest(manifest)
        keys = [chunk_key(project, self.recording["id"], upload.number, upload.upload_id) for upload in uploads]
        return {upload.number: await service._store.read(key, 0, 1000) for upload, key in zip(uploads, keys, strict=True)}


async def played(replicas, schedule, chance):
    """Send every number once, one after the other; then everything in the schedule at once, with finalizes in between."""
    upload = Upload(replicas, await replicas[0].recording(streaming=True))
    for number in NUMBERS:
        await upload.send(replicas[0], number, b"first %d" % number)
    acts = []
    for position, (number, past) in enumerate(schedule):
        send = upload.send_past if past else upload.send
        acts.append(send(chance.choice(replicas), number, b"again %d: %d" % (number, position)))
    acts += [upload.close(chance.choice(replicas)) for _ in range(2)]
    chance.shuffle(acts)
    await asyncio.gather(*acts)
    return upload


# One deployment serves all examples; each has a recording of its own.
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(schedule=st.lists(st.tuples(st.sampled_from(NUMBERS), st.booleans()), max_size=24), seed=st.integers(0, 1 << 32))
async def test_what_is_joined_is_what_senders_were_told(replicas, schedule, seed):
    upload = await played(replicas, schedule, random.Random(seed))
    assert (await upload.close(replicas[1])).status_code == 200
    joined = await upload.joined()
    assert list(joined) == list(NUMBERS)
    for number, content in joined.items():
        assert content not in upload.refused.get(number, [])
        again = [sent for sent in upload.acknowledged[number] if not sent.startswith(b"first")]
        assert content in [*again, *upload.past.get(number, [])] or (not again and content.startswith(b"first"))


async def test_the_last_word_of_a_client_that_waits_for_its_answers_counts(replicas):
    upload = Upload(replicas, await replicas[0].recording(streaming=True))
    for turn in range(12):  # all of it within a second or two, which is as fine as a store's times need be
        for number in NUMBERS:
            await upload.send(replicas[turn % 2], number, b"%d, %d" % (number, turn))
    assert (await upload.close(replicas[0])).status_code == 200
    assert await upload.joined() == {number: b"%d, 11" % number for number in NUMBERS}


async def test_what_a_refused_chunk_stored_is_deleted(replicas):
    one, _ = replicas
    upload = Upload(replicas, await one.recording(streaming=True))
    for number in NUMBERS:
        await upload.send(one, number, b"first")
    assert (await upload.close(one)).status_code == 200
    await upload.send(one, 1, b"late")
    assert upload.refused == {1: [b"late"]}

    async def gone():
        listed = await one.ok("GET", f"/recordings/{upload.recording['id']}/chunks")
        stored = await one.service._store.list(f"{one.project_id}/{upload.recording['id']}/chunks/")
        return len(listed["data"]) == len(stored) == len(NUMBERS)

    await until(gone)
