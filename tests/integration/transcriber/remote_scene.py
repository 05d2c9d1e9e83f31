"""Workers of what is transcribed elsewhere: a real MongoDB, providers (ours or live), a store of one file or a real one."""

import asyncio
from datetime import timedelta
from typing import NamedTuple

from services.transcriber.cloud_settings import CloudSettings
from services.transcriber.failover import FailOver
from services.transcriber.forget_orders import ForgetOrders
from services.transcriber.job_rules import TranscriptionJobRules
from services.transcriber.keyring import Keyring
from services.transcriber.order_book import OrderBook
from services.transcriber.providers.cloud.factory import clouds
from services.transcriber.providers.compare_channels import CompareChannels
from services.transcriber.remote_rules import RemoteRules
from services.transcriber.store_result import StoreResult
from services.transcriber.transcribe_remotely import TranscribeRemotely
from shared.domain.clock import now
from shared.domain.config.forms import ProcessingConfig
from shared.domain.ids import new_id
from shared.domain.job import Lane
from shared.domain.media import Media, MediaStatus, MediaType
from shared.domain.recording import Recording, RecordingStatus
from shared.domain.stored_object import ObjectMissing
from shared.domain.tenant import Mode
from shared.domain.transcription import TranscriptionRequest, queued_transcription
from shared.messaging.relay import Relay
from shared.storage.events import Events
from shared.storage.provider_keys import ProviderKeys
from shared.storage.provider_orders import ProviderOrders
from shared.storage.recordings import Recordings
from shared.storage.transcriptions import Transcriptions
from shared.storage.transcripts import Transcripts
from shared.workers.job_runner import JobLimits, JobRunner
from shared.workers.leases import Leases, unlimited
from tests.fakes.sealing import a_sealing


class Audio(NamedTuple):
    """What is transcribed, in the form in which it is stored."""

    content: bytes
    content_type: str
    key: str
    duration_ms: int


AUDIO = Audio(b"OggS" + bytes(1000), "audio/ogg", "k.ogg", 5500)
SAID = "Hello, who speaks? Good morning."


class Silent:
    async def publish(self, events):
        pass


class OneFile:
    """The object store, holding one file, whose readers it counts, and answers."""

    def __init__(self, content=AUDIO.content):
        self.content, self.downloads, self.answers = content, 0, {}

    async def put(self, key, body, _size_bytes, _content_type):
        self.answers[key] = body

    async def download(self, key, path, *, etag=None):
        if "/answers/" in key and key not in self.answers:
            raise ObjectMissing(key)
        self.downloads += key not in self.answers
        path.write_bytes(self.answers.get(key, self.content))

    async def delete(self, keys):
        for key in keys:
            self.answers.pop(key, None)

    def presigned_get(self, key, _expires_s, *, filename=None):
        return f"https://store.example/{key}?response-content-disposition={filename}"


def settings_for(servers, *, deepgram_key):
    """The installation's settings: where the servers are, and a key for each, for Deepgram only where it is said so."""
    urls = {f"{name}_url": server.url for name, server in servers.items()}
    keys = {f"{name}_api_key": server.key for name, server in servers.items() if deepgram_key or name != "deepgram"}
    return CloudSettings(**keys, **urls)


class Scene:
    """A worker with its stores; `another` is a second one on the same stores, as after a crash."""

    def __init__(self, mongo, spool, servers, **given):
        store, callback_url, fetch_s = (given.pop(name, None) for name in ("store", "callback_url", "fetch_s"))
        self.audio, self.patience_s = given.pop("audio", AUDIO), given.pop("patience_s", 60.0)
        limit_of, slots = given.pop("limit_of", unlimited), given.pop("slots", 1)
        self.limits = JobLimits(slots=slots, poll_s=0.01)
        keep_copies, rules = given.pop("keep_copies", False), given
        self.mongo, self.spool, self.servers = mongo, spool, servers
        self.recordings, self.transcriptions, self.transcripts = Recordings(mongo), Transcriptions(mongo), Transcripts(mongo)
        self.relay = Relay((self.recordings, self.transcriptions), Events(mongo), Silent(), self.recordings)
        self.leases = Leases(self.transcriptions, self.relay, TranscriptionJobRules(), lane=Lane.ELSEWHERE, limit_of=limit_of)
        self.keys, self.files, self.orders = (
            ProviderKeys(mongo, a_sealing()),
            store or OneFile(self.audio.content),
            ProviderOrders(mongo),
        )
        self.settings = settings_for(servers, deepgram_key=given.pop("deepgram_key", False) or callback_url is not None)
        self.clouds, self.config = clouds(self.settings), ProcessingConfig()
        results = StoreResult(self.transcripts, self.leases, {})
        defaults = {"first_pause_s": 0.0, "longest_pause_s": 0.01, "most_failures": 4}
        keyring = Keyring(self.keys, self.settings.keys())
        self.transcribe = TranscribeRemotely(
            recordings=self.recordings,
            book=OrderBook(self.orders, self.files, spool, CompareChannels(), callback_url=callback_url, fetch_s=fetch_s),
            results=results,
            claims=self.leases,
            failover=FailOver(self, self.leases),
            providers=self.clouds.providers,
            keys=keyring,
            rules=RemoteRules(**(defaults | rules)),
        )
        self.forget = ForgetOrders(
            orders=self.orders,
            transcriptions=self.transcriptions,
            objects=self.files,
            providers=self.clouds.providers,
            keys=keyring,
            keep_copies=keep_copies,
        )

    async def ready(self):
        """Make the indexes."""
        for collection in (self.recordings, self.transcriptions, self.keys, self.orders):
            await collection.ensure_indexes()
        return self

    async def order_of(self, transcription):
        """The row of the transcription's order, as MongoDB has it."""
        return await self.mongo.database["provider_orders"].find_one({"transcription_id": transcription.id})

    async def due_now(self):
        """What is looked at later is looked at now, as if the time had passed."""
        past = now() - timedelta(seconds=1)
        await self.mongo.database["provider_orders"].update_many({"due_at": {"$type": "date"}}, {"$set": {"due_at": past}})

    async def queued(self, provider, *, project_id=None, channels=None, **asked):
        at = now()
        media = Media(
            id=new_id("med"),
            type=MediaType.AUDIO,
            content_type=self.audio.content_type,
            object_key=self.audio.key,
            status=MediaStatus.UPLOADED,
            file_size_bytes=len(self.audio.content),
            channels=channels,
            created_at=at,
        )
        recording = await self.recordings.add(
            Recording(
                id=new_id("rec"),
                project_id=project_id or new_id("proj"),
                mode=Mode.LIVE,
                status=RecordingStatus.UPLOADED,
                media=(media,),
                duration_ms=self.audio.duration_ms,
                created_at=at,
                updated_at=at,
            )
        )
        queued = queued_transcription(new_id("txn"), recording, TranscriptionRequest(provider=provider, **asked))
        return await self.transcriptions.add(queued)

    async def processing(self, _tenant):
        return self.config

    async def step(self):
        """Claim the job and do one step of it."""
        claimed = None
        async with asyncio.timeout(self.patience_s):
            while claimed is None:
                claimed = await self.leases.claim("worker", 30)
        await self.transcribe(claimed)
        return await self.present(claimed)

    async def present(self, transcription):
        return await self.transcriptions.get(transcription.tenant, transcription.id)

    async def ended(self, transcription):
        """Run a worker until the transcription has ended."""
        runner = JobRunner(self.leases, self.transcribe, name="transcribe", worker="w", limits=self.limits)
        running = asyncio.create_task(runner.run())
        try:
            async with asyncio.timeout(self.patience_s):
                while (present := await self.present(transcription)).active:
                    await asyncio.sleep(0.01)
        finally:
            await runner.stop(1)
            running.cancel()
        return present

    async def text(self, transcription):
        return (await self.transcripts.get(transcription.tenant, transcription.id)).text
