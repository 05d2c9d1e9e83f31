"""The webhook stage behind a real broker, over a real MongoDB, ended when events are told but their offsets not committed."""

import asyncio
from collections import Counter

import pytest

from services.webhooks.consumer import GROUP, handlers
from shared.domain.delivery import DeliveryStatus
from shared.messaging.broker import kafka_broker
from shared.messaging.consumer import consume
from shared.messaging.policy import ConsumerPolicy
from shared.messaging.publisher import EventPublisher
from shared.settings import KafkaSettings
from tests.fakes.webhook_facts import an_upload
from tests.fakes.webhook_receiver import eventually


class Broker:
    """Publishes, and lets replicas of the stage consume."""

    def __init__(self, servers):
        settings = KafkaSettings(
            kafka_servers=(servers,), kafka_partitions=2, kafka_session_timeout_ms=1_000, kafka_fetch_wait_ms=10
        )
        self.broker = kafka_broker(settings, "test")
        self.publish = EventPublisher(self.broker).publish
        self.consumers = []

    async def consume(self, stage, confirm):
        """Consume as the service does; return what counts how often each event came."""
        heard = Counter()

        def counted(handle):
            async def count(event):
                heard.update([event.event_id])
                await handle(event)

            return count

        counting = {kind: counted(handle) for kind, handle in handlers(stage.fan_out).items()}
        self.consumers.append(consume(self.broker, GROUP, counting, ConsumerPolicy(commit_after_s=0.05), confirm))
        await self.consumers[-1].start()
        await asyncio.wait_for(self.consumers[-1].joined(), 15)
        return heard


@pytest.fixture
async def broker(fresh_broker):
    broker = Broker(fresh_broker)
    yield broker
    for consumer in broker.consumers:
        await consumer.stop(grace_s=1)
    await broker.broker.stop()


async def never():
    await asyncio.Event().wait()


async def told(stage, endpoint, count):
    rows = await stage.rows(endpoint)
    return [row.status for row in rows] == [DeliveryStatus.SUCCEEDED] * count


async def test_events_that_were_told_and_recorded_but_not_committed_come_again_and_are_told_no_more(broker, make_stage, receiver):
    killed, heir = await make_stage(worker="killed"), await make_stage(worker="heir")
    endpoint = await killed.endpoint(receiver.url())
    uploads = [an_upload() for _ in range(20)]
    killed.run()  # for what has to wait for a slot
    await broker.consume(killed, never)
    await broker.publish(uploads)
    await eventually(lambda: told(killed, endpoint, 20))
    await broker.consumers[0].stop(grace_s=0)
    again = await broker.consume(heir, heir.fan_out.confirm)
    await eventually(lambda: again.total() == 20)
    last = an_upload()
    await broker.publish([last])
    await eventually(lambda: told(heir, endpoint, 21))
    assert again == Counter(upload.event_id for upload in [*uploads, last])
    assert Counter(heard.header("webhook-id") for heard in receiver.heard) == again


async def test_a_replica_that_takes_over_unconfirmed_events_tells_none_of_them_twice(broker, make_stage, receiver):
    unsure, other = await make_stage(worker="unsure"), await make_stage(worker="other")
    endpoint = await unsure.endpoint(receiver.url())
    uploads = [an_upload() for _ in range(20)]
    unsure.run()
    await broker.consume(unsure, never)
    await broker.publish(uploads)
    await eventually(lambda: told(unsure, endpoint, 20))
    again = await broker.consume(other, other.fan_out.confirm)
    await eventually(lambda: again.total() > 0)
    await unsure.fan_out.confirm()
    await other.fan_out.confirm()
    assert await told(other, endpoint, 20)
    assert Counter(heard.header("webhook-id") for heard in receiver.heard) == Counter(upload.event_id for upload in uploads)
