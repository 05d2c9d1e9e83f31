"""What an operator sees of one recording: a trace through the logs of all services, and figures of every stage."""

import json
import re

import pytest

from deploy.local.demo.speech import chunked
from tests.e2e.watching import Listener, completed, until

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
SERVICES = ("ingest", "stitcher", "transcriber", "webhooks")
WIDE_LINES = {
    "ingest": {"request.done"},
    "stitcher": {"message.done", "stitch.done"},
    "transcriber": {"message.done", "transcribe.done"},
    "webhooks": {"message.done", "webhook.attempt.done"},
}
COUNTED = {
    "ingest": ['outbox_published_total{event="recording.uploaded"}', "outbox_lag_seconds_count"],
    "stitcher": ['stage_seconds_count{stage="stitch"}', 'stage_seconds_count{stage="uploaded_to_stitched"}'],
    "transcriber": ['stage_seconds_count{stage="transcribe"}', 'stage_seconds_count{stage="uploaded_to_transcribed"}'],
    "webhooks": ['stage_seconds_count{stage="fan_out"}', 'stage_seconds_count{stage="webhook"}'],
}
CHECKED = {
    "ingest": {"mongodb", "objects"},
    "stitcher": {"mongodb", "kafka", "objects", "workers"},
    "transcriber": {"mongodb", "kafka", "objects", "workers"},
    "webhooks": {"mongodb", "kafka"},
}
QUEUES = {
    "ingest": {"end_user_erasures"},
    "stitcher": {"stitch", "recording_erasures"},
    "transcriber": {"transcribe", "transcribe_elsewhere"},
    "webhooks": {"webhook_deliveries"},
}


async def test_one_grep_follows_a_finalize_through_all_services(project, receiver, stack, sentence):
    listener = await Listener.at(receiver, project)
    recording = await project.open()
    await project.put_chunks(recording, dict(enumerate(chunked(sentence[0], 2), 1)))
    client = project.client
    url = f"{stack.api_url}/v1/recordings/{recording['id']}/finalize"
    body = json.dumps({"total_chunks": 2, "final_duration_ms": 1000}).encode()
    headers = {**client._headers, "Content-Type": "application/json", "traceparent": TRACEPARENT}
    assert (await client.request("POST", url, body, headers)).status == 200
    await completed(project, recording["id"])
    await listener.hears(recording["id"], "transcription.completed")
    for service in SERVICES:
        await until(lambda service=service: lines_of(stack, service) >= WIDE_LINES[service])
    for service in SERVICES:
        assert all(line["recording_id"] == recording["id"] for line in found(stack, service) if line["event"].endswith(".done"))


def found(stack, service):
    return [json.loads(line) for line in stack.log_of(service).splitlines() if TRACE in line and line.startswith("{")]


def lines_of(stack, service):
    return {line["event"] for line in found(stack, service)}


async def test_every_stage_is_counted(project, stack, sentence, http):
    recording = await project.stream(list(chunked(sentence[0], 2)))
    await completed(project, recording)
    for service in SERVICES:
        figures = await text_of(stack, service, http, "/metrics")
        for name in COUNTED[service]:
            value = re.search(rf"^earwitness_{re.escape(name)} (\S+)$", figures, re.MULTILINE)
            assert value, (service, name)
            assert float(value[1]) >= 1


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_asks_what_it_needs_and_tells_the_depth_and_age_of_its_queues(stack, http, service):
    checks = json.loads(await text_of(stack, service, http, "/health/ready"))["checks"]
    assert checks == dict.fromkeys(CHECKED[service], "ok")
    figures = await text_of(stack, service, http, "/metrics")
    for name in ("queue_depth", "queue_oldest_age_seconds"):
        assert set(re.findall(rf'^earwitness_{name}{{queue="(\w+)"}} ', figures, re.MULTILINE)) == QUEUES[service]


async def text_of(stack, service, http, path):
    async with http.get(f"http://127.0.0.1:{stack.stack.members[service].port}{path}") as answer:
        return await answer.text()
