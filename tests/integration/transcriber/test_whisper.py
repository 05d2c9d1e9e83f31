"""The real Whisper base model in real worker processes, on real human speech."""

import asyncio
import os
import wave
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from faster_whisper import WhisperModel

from deploy.local.sample_speech import dialogue
from services.transcriber.ports import SpeechRequest
from services.transcriber.providers.decode import decoded
from services.transcriber.providers.whisper import WhisperProvider, WhisperSettings, whisper_pool
from services.transcriber.providers.whisper_engine import WhisperEngine
from services.transcriber.samples import RATE
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.transcript import is_ordered
from shared.workers import WorkerFailed
from tests.speech import word_error_rate

DEADLINE_S = 300  # of a machine that does much else
SYNTHETIC_S = 29.0  # within one window of the model: what is left for a second one is so short that it is decoded by chance


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An empty home for the worker processes, to see what libraries leave in it."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.delenv("XDG_CACHE_HOME", raising=False)
        yield folder


@pytest.fixture(scope="module")
async def pool(whisper_model, home):
    pool = whisper_pool(WhisperSettings(model_path=whisper_model), size=1)
    await pool.start()
    yield pool
    await pool.stop()


@pytest.fixture
def provider(pool):
    return WhisperProvider(pool, time_limit_s=DEADLINE_S)


@pytest.fixture(scope="module")
def samples(real_speech):
    return np.concatenate(list(decoded(real_speech.path)))


def ignore(_):
    pass


def request(path: Path, language=None, **known):
    return SpeechRequest(audio_path=path, language=language, **known)


def save(path: Path, samples, rate=RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((np.asarray(samples) * 32767).astype("<i2").tobytes())
    return path


def words_of(transcript):
    return [word for segment in transcript.segments for word in segment.words]


async def test_real_speech_is_understood_with_its_language_times_and_progress(provider, real_speech):
    seen = []
    transcript = await provider.transcribe(request(real_speech.path), seen.append)
    assert word_error_rate(real_speech.text, transcript.text) <= 0.10
    assert transcript.language == "en"
    assert transcript.duration_ms == pytest.approx(26730, abs=20)
    assert is_ordered(transcript.segments)
    words = words_of(transcript)
    assert len(words) == transcript.word_count
    assert " ".join(word.word for word in words) == transcript.text
    assert "ill-disposed" in [word.word for word in words]
    assert 0 <= words[0].start < 1.5
    assert 24 < words[-1].end <= 26.74
    assert 0.7 < transcript.confidence <= 1
    assert all(0 <= segment.confidence <= 1 for segment in transcript.segments)
    assert "speaker" not in msgspec.to_builtins(words[0])
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert (seen[0].fraction, seen[0].stage, seen[0].heard) == (0.0, "transcribing", ())  # before anything is heard
    assert fractions[-1] == 1.0
    assert len(fractions) >= 4


async def test_a_telephone_conversation_is_understood(provider, real_conversation):
    transcript = await provider.transcribe(request(real_conversation.path, "en-US"), ignore)
    assert word_error_rate(real_conversation.text, transcript.text) <= 0.25
    assert transcript.language == "en"


async def test_a_video_s_sound_is_transcribed_at_its_time_in_the_video(provider, samples, tmp_path):
    path = tmp_path / "video.mp4"
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width = pictures.height = 64
        sound = container.add_stream("aac", rate=RATE, layout="stereo")
        for number in range(120):
            picture = av.VideoFrame(64, 64, "yuv420p")
            picture.pts = number
            container.mux(pictures.encode(picture))
        for start in range(0, 7 * RATE, 1024):
            frame = av.AudioFrame.from_ndarray(np.tile(samples[start : start + 1024], (2, 1)), format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = RATE, start + 5 * RATE
            container.mux(sound.encode(frame))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    transcript = await provider.transcribe(request(path, "en"), ignore)
    assert transcript.duration_ms == pytest.approx(12_000, abs=150)
    assert "Dashwood" in transcript.text
    assert 4.7 <= words_of(transcript)[0].start < 6.5


async def test_no_library_takes_notes_for_its_maker(provider, samples, home, tmp_path):
    await provider.transcribe(request(save(tmp_path / "sentence.wav", samples[: 2 * RATE]), "en"), ignore)
    assert not (home / ".cache" / "Microsoft").exists()


async def test_silence_noise_and_music_say_nothing(provider, tmp_path):
    seconds = np.arange(20 * RATE) / RATE
    noise = np.random.default_rng(7).standard_normal(20 * RATE)
    chord = sum(np.sin(2 * np.pi * hertz * seconds) * np.sin(seconds * hertz / 200) ** 2 for hertz in (220, 277, 330)) / 4
    vowel = sum(np.sin(2 * np.pi * 120 * n * seconds) * np.exp(-(((120 * n - 700) / 400) ** 2)) for n in range(1, 30)) / 8
    syllables = vowel * np.sin(2 * np.pi * 4 * seconds).clip(0, 1)  # taken for speech, and then not understood
    sounds = {"silence": 0 * noise, "hiss": noise * 0.001, "noise": noise.clip(-4, 4) / 5, "music": chord, "syllables": syllables}
    for name, quiet in sounds.items():
        transcript = await provider.transcribe(request(save(tmp_path / f"{name}.wav", quiet)), ignore)
        assert (transcript.text, transcript.segments, transcript.language) == ("", (), None), name
        assert transcript.duration_ms == 20_000
    transcript = await provider.transcribe(request(tmp_path / "noise.wav", "en"), ignore)
    assert (transcript.text, transcript.segments, transcript.language) == ("", (), "en")


async def test_nothing_is_made_up_in_the_silence_around_speech(provider, samples, tmp_path):
    hiss = np.random.default_rng(3).standard_normal(30 * RATE) * 0.001
    sentence = samples[: 7 * RATE]
    path = save(tmp_path / "sparse.wav", np.concatenate((hiss, sentence, hiss, sentence, hiss)))
    transcript = await provider.transcribe(request(path, "en"), ignore)
    said = " ".join(["and mister john dashwood had then leisure to consider how much there might be prudently in his power"] * 2)
    assert word_error_rate(said.replace("power", "power to do for them"), transcript.text) <= 0.1
    assert all(29.5 < word.start < 37.5 or 66.5 < word.start < 74.5 for word in words_of(transcript))


async def test_less_than_a_second_is_too_short(provider, samples, tmp_path):
    for count, rate in ((RATE * 9 // 10, RATE), (1, RATE), (50, 48_000)):  # the last are too few to be brought to our rate
        with pytest.raises(PermanentFailure) as failed:
            await provider.transcribe(request(save(tmp_path / "short.wav", samples[:count], rate)), ignore)
        assert failed.value.reason is FailureReason.AUDIO_TOO_SHORT
    assert (await provider.transcribe(request(save(tmp_path / "second.wav", samples[:RATE]), "en"), ignore)).duration_ms == 1000


async def test_what_is_not_audio_is_corrupt_and_the_worker_lives(provider, pool, tmp_path):
    pids = pool.pids
    (tmp_path / "junk").write_bytes(os.urandom(50_000))
    with pytest.raises(PermanentFailure) as failed:
        await provider.transcribe(request(tmp_path / "junk"), ignore)
    assert failed.value.reason is FailureReason.AUDIO_CORRUPT
    with pytest.raises(WorkerFailed, match="FileNotFoundError"):
        await provider.transcribe(request(tmp_path / "nowhere"), ignore)
    assert pool.pids == pids


async def test_an_unknown_language_is_refused(provider, real_speech):
    with pytest.raises(PermanentFailure, match="xx"):
        await provider.transcribe(request(real_speech.path, "xx"), ignore)


async def test_a_transcription_in_full_run_can_be_cancelled_and_the_next_one_runs(provider, pool, samples, tmp_path):
    long = save(tmp_path / "long.wav", np.tile(samples, 4))
    begun = asyncio.Event()
    (pid,) = pool.pids
    task = asyncio.create_task(provider.transcribe(request(long, "en"), lambda _: begun.set()))
    async with asyncio.timeout(DEADLINE_S):
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        last = save(tmp_path / "last.wav", samples[-4 * RATE :])
        assert "amiable" in (await provider.transcribe(request(last, "en"), ignore)).text
    assert pool.pids != (pid,)


def synthetic_speech(folder):
    """The turns that end within the dialogue's first half minute, and what is said in them."""
    sample = dialogue()
    turns = [turn for turn in sample.turns if turn.end <= SYNTHETIC_S]
    spoken = np.concatenate(list(decoded(sample.path)))[: round((turns[-1].end + 0.3) * RATE)]
    return save(folder / "synthetic.wav", spoken), " ".join(turn.text for turn in turns)


@pytest.mark.parametrize("kind", ["real", "synthetic"])
async def test_no_more_words_are_wrong_than_with_the_bare_model(provider, whisper_model, real_speech, tmp_path, kind):
    path, text = (real_speech.path, real_speech.text) if kind == "real" else synthetic_speech(tmp_path)
    bare = WhisperModel(str(whisper_model), device="cpu", compute_type="int8", cpu_threads=1)
    segments, _ = bare.transcribe(
        str(path), language="en", beam_size=5, word_timestamps=True, vad_filter=True, condition_on_previous_text=False
    )
    theirs = word_error_rate(text, " ".join(segment.text for segment in segments))
    ours = word_error_rate(text, (await provider.transcribe(request(path, "en"), ignore)).text)
    assert theirs < 0.2
    assert ours <= theirs + 0.005


async def test_hints_are_heard_as_they_are_to_be_written(provider, samples, tmp_path):
    path = save(tmp_path / "sentence.wav", samples[: 7 * RATE])
    assert "Dashwood" in (await provider.transcribe(request(path, "en"), ignore)).text
    assert "Dashwoode" in (await provider.transcribe(request(path, "en", hints="Mr. John Dashwoode, Dashwoode"), ignore)).text


def whole(engine, path, duration_ms=None):
    return engine.transcribe(request(path, "en", duration_ms=duration_ms), ignore)


def test_cutting_into_pieces_neither_loses_nor_doubles_words(whisper_model, real_speech):
    engine = WhisperEngine(WhisperSettings(model_path=whisper_model, piece_max_s=14, cut_search_s=6, cpu_threads=2))
    transcript = whole(engine, real_speech.path)
    assert word_error_rate(real_speech.text, transcript.text) <= 0.05
    assert 24 < words_of(transcript)[-1].end <= 26.74


def test_the_fast_profile_understands_too_and_cuts_by_sentences(whisper_model, real_speech):
    engine = WhisperEngine(WhisperSettings(model_path=whisper_model, profile="fast", cpu_threads=2))
    transcript = whole(engine, real_speech.path)
    assert word_error_rate(real_speech.text, transcript.text) <= 0.10
    assert len(transcript.segments) >= 4
    assert is_ordered(transcript.segments)


async def test_stereo_with_one_channel_turned_over_is_understood_as_mono_is(provider, samples, tmp_path):
    excerpt = samples[: 10 * RATE]
    mono, turned = save(tmp_path / "mono.wav", excerpt), tmp_path / "turned.wav"
    with wave.open(str(turned), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", ""))
        file.writeframes((np.stack([excerpt, -excerpt], axis=1) * 32767).astype("<i2").tobytes())
    texts = [(await provider.transcribe(request(path, "en"), ignore)).text for path in (mono, turned)]
    assert len(texts[0].split()) > 10
    assert texts[1] == texts[0]
