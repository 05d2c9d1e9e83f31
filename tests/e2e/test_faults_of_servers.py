"""The broker wiped, MongoDB and the store away under load, everything asked to stop: nothing acknowledged is ever lost."""

import asyncio

import pytest
from aiohttp import web

from deploy.local.demo.speech import ogg_opus
from tests.e2e.audio import tone
from tests.e2e.load import Load
from tests.e2e.watching import DEADLINE_S, STREAMED, Listener, becomes, completed, until
from tests.speech import word_error_rate

OUTAGE_S = 20.0  # longer than a call of MongoDB waits


async def everything_told(inside, listener, recording_ids, types=STREAMED):
    """Every event of every recording was heard; none has two deliveries; what came twice was the same; nothing waits."""
    for recording_id in recording_ids:
        await listener.hears(recording_id, *types)
    project_id = inside.recording(recording_ids[0])["project_id"]
    await until(lambda: inside.settled(project_id))
    heard = {one.header("webhook-id") for one in listener.heard}
    assert heard == inside.events(project_id).keys()
    await inside.assert_each_delivered_once(listener.id, set(STREAMED))
    listener.assert_repeats_are_equal()


@pytest.fixture
def _no_service_ends(fragile):
    before = {name: service.child.pid for name, service in fragile.stack.services.items()}
    yield
    assert {name: service.child.pid for name, service in fragile.stack.services.items()} == before


@pytest.mark.usefixtures("_no_service_ends")
async def test_a_broker_wiped_in_mid_flight_costs_no_recording_and_no_webhook(fragile, customer, receiver, inside, sentence):
    listener = await Listener.at(receiver, customer)
    spoken = await customer.stream([ogg_opus(sentence[0])])
    await becomes(customer, spoken, lambda recording: recording["status"] == "processing")  # being transcribed
    begun = [await customer.open() for _ in range(3)]  # being uploaded
    for number, recording in enumerate(begun):
        await customer.put_chunks(recording, {1: tone(number)})
    in_flight = [asyncio.create_task(customer.stream([tone(10 + number), tone(20 + number)])) for number in range(5)]
    await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)  # the others: anywhere between
    await asyncio.to_thread(fragile.kill, "broker")
    await customer.put_chunks(begun[0], {2: tone(100)})
    assert (await customer.finalize(begun[0]["id"], 2)).status == 200  # acknowledged with no broker there
    whole = await customer.upload(tone(5), content_type="audio/ogg")
    await asyncio.gather(*in_flight)
    await asyncio.to_thread(fragile.wipe, "broker")
    for number, recording in enumerate(begun[1:], 1):
        await customer.put_chunks(recording, {2: tone(100 + number)})
        assert (await customer.finalize(recording["id"], 2)).status == 200

    streamed = {task.result(): [10 + number, 20 + number] for number, task in enumerate(in_flight)}
    streamed |= {recording["id"]: [number, 100 + number] for number, recording in enumerate(begun)}
    for recording_id in (*streamed, spoken):
        await completed(customer, recording_id)
    assert {recording_id: await inside.tones(recording_id) for recording_id in streamed} == streamed
    text = await customer.transcription((await customer.get(spoken))["transcription_id"])
    assert word_error_rate(sentence[1], text["text"]) <= 0.10
    await listener.hears(whole, *STREAMED[:3])
    await everything_told(inside, listener, [*streamed, spoken])


@pytest.mark.usefixtures("_no_service_ends")
async def test_mongodb_away_for_twenty_seconds_under_load_costs_nothing(fragile, customer, receiver, inside):
    listener = await Listener.at(receiver, customer)
    await away_under_load(fragile, customer, inside, listener, "mongo")


@pytest.mark.usefixtures("_no_service_ends")
async def test_the_object_store_away_for_twenty_seconds_under_load_costs_nothing(fragile, customer, receiver, inside):
    listener = await Listener.at(receiver, customer)
    await away_under_load(fragile, customer, inside, listener, "s3")


async def away_under_load(running, customer, inside, listener, member):
    """Kill a server while devices upload, start it again twenty seconds later; all of it must be there in the end."""
    async with Load(customer) as load:
        await load.goes_on(4)
        await asyncio.to_thread(running.kill, member)
        await asyncio.sleep(OUTAGE_S)  # the outage itself
        assert customer.client.retries > 0
        await asyncio.to_thread(running.start_member, member)
        await load.goes_on(4)
    assert len(load.acknowledged) > 20
    await load.assert_all_there(inside)
    await everything_told(inside, listener, list(load.acknowledged))


async def test_asked_to_stop_in_the_middle_of_everything_all_services_end_well_and_what_they_did_is_finished_later(
    fragile, customer, receiver, inside, speech
):
    released = asyncio.Event()

    async def hold(_request):
        await asyncio.wait_for(released.wait(), DEADLINE_S)
        return web.Response()

    listener = await Listener.at(receiver, customer)
    chunks = await asyncio.to_thread(lambda: [tone(number, 10.0) for number in range(12)])
    spoken = await customer.stream([await asyncio.to_thread(ogg_opus, speech)] * 2)
    await becomes(customer, spoken, lambda recording: recording["status"] == "processing")
    receiver.default = hold
    recording = await customer.open()
    joining = await customer.stream(chunks)
    sending, go_on = await customer.put_half(recording, 1, tone(1))
    stopping = asyncio.gather(*(asyncio.to_thread(fragile.stop, name) for name in fragile.stack.services))
    await asyncio.wait({stopping}, timeout=0.3)
    go_on.set()
    assert (await sending).status == 200  # begun before the signal, so it is served
    assert await stopping == [0, 0, 0, 0]
    (job,) = [one["job"] for one in inside.transcriptions(spoken)]
    assert (job["status"], job["worker"], job["attempts"]) == ("queued", None, 0)
    assert inside.recording(joining)["job"]["status"] in ("queued", "completed")
    waiting = [row for row in inside.deliveries(listener.id) if row["status"] == "pending"]
    assert waiting
    assert {row["worker"] for row in waiting} == {None}

    receiver.default = 200
    released.set()
    await asyncio.to_thread(fragile.stack.start_services)
    assert (await customer.finalize(recording["id"], 1)).status == 200
    for recording_id in (spoken, joining, recording["id"]):
        await completed(customer, recording_id)
    assert await inside.tones(joining, 10.0) == list(range(12))
    assert await inside.tones(recording["id"]) == [1]
    await everything_told(inside, listener, [spoken, joining, recording["id"]])
