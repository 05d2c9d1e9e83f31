"""Channels that are all the same, at providers on the network: ordered to be heard once, and read as they were ordered."""

import io
import wave

import numpy as np
import pytest

from shared.domain.transcription import ProviderName, SpeechOptions
from tests.integration.transcriber.remote_scene import SAID, Audio

RATE = 16_000
NETWORK = [ProviderName.DEEPGRAM, ProviderName.ASSEMBLYAI, ProviderName.ELEVENLABS]
MULTICHANNEL = SpeechOptions(multichannel=True)


def stereo(*channels):
    """Two seconds of tones, one in each channel."""
    moments = np.arange(2 * RATE) / RATE
    samples = np.stack([0.3 * np.sin(2 * np.pi * hertz * moments) for hertz in channels], axis=1)
    file = io.BytesIO()
    with wave.open(file, "wb") as written:
        written.setparams((len(channels), 2, RATE, 0, "NONE", ""))
        written.writeframes((samples * 32767).astype("<i2").tobytes())
    return Audio(file.getvalue(), "audio/wav", "k.wav", 2000)


async def speakers_of(worker, transcription):
    transcript = await worker.transcripts.get(transcription.tenant, transcription.id)
    return [segment.speaker for segment in transcript.segments]


@pytest.mark.parametrize("fetch_s", [None, 3600])
@pytest.mark.parametrize("provider", NETWORK)
async def test_who_speaks_is_told_by_voice_where_all_channels_are_the_same(workers, provider, fetch_s):
    asked = {"audio": stereo(300, 300), "deepgram_key": True, "fetch_s": fetch_s}
    first, second = workers(**asked), workers(**asked)
    transcription = await first.queued(provider, channels=2, options=MULTICHANNEL)
    await first.step()
    done = await second.ended(transcription)
    assert await second.text(done) == SAID
    assert await speakers_of(second, done) == ["SPEAKER_0", "SPEAKER_1"]
    assert (first.files.downloads, second.files.downloads) == (1, 0)


@pytest.mark.parametrize("provider", NETWORK)
async def test_channels_of_their_own_are_speakers_as_ever(workers, provider):
    worker = workers(audio=stereo(300, 500), deepgram_key=True)
    done = await worker.ended(await worker.queued(provider, channels=2, options=MULTICHANNEL))
    assert set(await speakers_of(worker, done)) == {"SPEAKER_0"}  # all that is said is on the first channel


async def test_the_next_of_a_list_is_told_the_same(workers, providers):
    worker = workers(audio=stereo(300, 300))
    worker.config = worker.config.__class__(failover_providers=(ProviderName.ELEVENLABS,))
    transcription = await worker.queued(ProviderName.DEEPGRAM, channels=2, options=MULTICHANNEL)
    done = await worker.ended(transcription)
    assert done.provider is ProviderName.ELEVENLABS
    (order,) = providers["elevenlabs"].asked
    assert ("use_multi_channel" in order.form, order.form["diarize"]) == (False, "true")
