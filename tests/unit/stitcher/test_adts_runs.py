"""Independent ADTS runs: the declared duration tells what of each is audio, and nothing is cut on a word that cannot be true."""

import numpy as np
import pytest

from services.stitcher.join import join_chunks
from tests.unit.stitcher.stitch_material import PEAK, RATE, encode, lag_ms, pyav_read, runs, signal

FRAME_MS = 1024 * 1000 / RATE


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(("total", "each"), [(30.0, 5.0), (10.3, 2.0), (11.97, 1.5), (4.0, 2.0), (3.1, 2.0)])
def test_runs_last_as_long_as_declared_without_clicks_or_lag(tmp_path, work, total, each):
    chunks = runs(tmp_path, signal(total), "aac", each)
    joined = join_chunks(chunks, work, round(total * 1000))
    assert (joined.method, joined.content_type) == ("reencode", "audio/ogg")
    assert abs(joined.duration_ms - total * 1000) <= 2
    samples, rate = pyav_read(joined.path)
    assert abs(len(samples) - total * rate) < FRAME_MS * rate / 1000
    loudest = max(np.abs(pyav_read(chunk)[0]).max() for chunk in chunks)  # the encoder overshoots where a tone sets in
    assert np.abs(samples).max() < 1.1 * loudest
    for at in np.arange(each, total, each):
        assert np.abs(samples[round((at - 0.005) * rate) : round((at + 0.005) * rate)]).max() < 1.1 * PEAK
    for at in (0.5, total / 2 + 0.1, total - 0.5 - total % each):
        assert abs(lag_ms(samples, rate, at, total)) <= FRAME_MS / 2


@pytest.mark.parametrize("declared_ms", [0, 1, 1000, 7000, 60_000])
def test_a_duration_that_priming_and_padding_do_not_explain_changes_nothing(tmp_path, work, declared_ms):
    chunks = runs(tmp_path, signal(6.0), "aac", 1.0)
    joined = join_chunks(chunks, work, declared_ms)
    assert joined.method == "concatenate"
    assert joined.path.read_bytes() == b"".join(path.read_bytes() for path in chunks)


@pytest.mark.parametrize("declared_ms", [6000, 5600])
def test_one_run_that_was_cut_at_its_frames_is_kept_whole_whatever_is_declared(tmp_path, work, declared_ms):
    whole = encode(tmp_path / "whole", signal(6.0), "aac").read_bytes()
    chunks, at = [], 0
    for number in range(6):
        end = at
        for _ in range(16 if number < 5 else 1 << 20):
            if end >= len(whole):
                break
            end += (whole[end + 3] & 3) << 11 | whole[end + 4] << 3 | whole[end + 5] >> 5
        chunks.append(tmp_path / f"cut-{number}")
        chunks[-1].write_bytes(whole[at:end])
        at = end
    joined = join_chunks(chunks, work, declared_ms)
    assert (joined.method, joined.path.read_bytes()) == ("concatenate", whole)
