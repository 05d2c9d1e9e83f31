"""The speech lab has a row for every kind of audio, and each row its figures."""

import numpy as np
import pytest

from bench.speech.__main__ import HEADS, WIDTHS, cells, line
from bench.speech.audio import Task, tasks
from bench.speech.lab import measured
from deploy.local.sample_speech import Turn
from services.transcriber.model_folders import default_folder
from services.transcriber.providers.decode import decoded
from services.transcriber.providers.whisper import WhisperSettings
from services.transcriber.samples import RATE
from tests.integration.transcriber.test_diarization import save

SENTENCE_S = 7


@pytest.fixture(scope="module")
def sentence(real_speech):
    return np.concatenate(list(decoded(real_speech.path)))[: SENTENCE_S * RATE]


def test_the_sample_set_has_one_voice_and_two_in_one_channel_and_in_two_cut_in_noise_and_nobody(tmp_path):
    rows = {task.name: task for task in tasks(default_folder().parent / "speech", tmp_path)}
    assert set(rows) == {
        "reading, one voice",
        "telephone, two voices",
        "dialogue, two voices",
        "dialogue, cut every 25 s",
        "dialogue, a channel each",
        "dialogue in noise",
        "noise, hum and music",
    }
    assert rows["dialogue, a channel each"].multichannel
    assert all(rows[name].said and rows[name].turns for name in rows if "dialogue" in name or "telephone" in name)
    assert not rows["noise, hum and music"].said


@pytest.mark.parametrize("multichannel", [False, True])
async def test_a_row_has_words_speakers_who_speaks_when_speed_and_memory(
    whisper_model, voice_models, sentence, tmp_path, multichannel
):
    said = Turn(
        start=0.4, end=6.9, speaker="a", text="and mister john dashwood had then leisure to consider how much there might"
    )
    channels = (sentence, np.zeros_like(sentence)) if multichannel else (sentence,)
    task = Task(
        name="one sentence",
        path=save(tmp_path / "sentence.wav", *channels),
        said=(said,),
        turns=(said,),
        multichannel=multichannel,
    )
    settings = WhisperSettings(model_path=whisper_model, beam_size=1, diarization=voice_models)
    row = await measured(task, settings)
    assert 0 <= row.words < 0.7
    assert row.wrong_speakers == 0.0
    assert 0 <= row.diarization < 0.5
    assert (row.speakers, row.made_up) == ("1/1", None)
    assert 0 < row.cpu_share < 60
    assert row.peak_mib > 100
    printed = cells(row)
    assert len(printed) == len(HEADS) == len(WIDTHS)
    assert [text for text in printed if text == "-"] == (["-", "-"] if multichannel else ["-"])
    assert len(line(printed)) == len(line(HEADS))
