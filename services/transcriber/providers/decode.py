"""Any audio or video file as 16 kHz mono samples, in bounded blocks, true to the file's own clock."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler

from services.transcriber.providers.mix import Mix
from services.transcriber.samples import RATE, Samples
from shared.demux import reader_of
from shared.domain.errors import FailureReason, PermanentFailure
from shared.domain.magic import READERS
from shared.domain.media import SAMPLE_RATES_HZ

BLOCK = 10 * RATE  # samples
GAP_S = 0.1  # a hole in the timestamps from here on is filled with silence ...
LARGEST_GAP_S = 600.0  # ... up to here, but for damage; beyond it the clock was set anew, as in a cut transport stream
MOST_SILENCE_S = 24 * 3600.0  # in all, lest a forged file keeps a worker busy for ever
BACKWARD_S = 1.0  # a clock that runs back further than this was set anew too
LEAST_STEP = 4096  # bytes that a reader gets on by when it meets what it cannot read; it takes far more
MOST_STEPS_IN_PLACE = 1000  # of one that does not get on: it never will
STEREO = 2  # channels that we mix, for one may be the other turned over
MOST_MIXED = 8  # channels that ffmpeg's libraries mix into one, each as loud as its place asks; of more we take the mean


def decoded(path: Path, channel: int | None = None) -> Iterator[Samples]:
    """Blocks of samples, each of `BLOCK` or fewer; holes in the timestamps (DTX, lost packets) become silence.

    All channels are mixed into one, unless one is asked for by its number (from 0). Damaged packets are skipped, however many.
    Raises `PermanentFailure`: `audio_corrupt` when the file cannot be read, or not to its end, or nothing in it decodes,
    `unsupported_format` when it holds no audio. Uses memory for a few blocks, whatever the file's length.
    """
    try:
        with av.open(str(path), format=reader_of(path), options=READERS, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise PermanentFailure(FailureReason.UNSUPPORTED_FORMAT, "the file holds no audio")
            yield from _blocks(_timed(container, channel))
    except (FileNotFoundError, PermissionError):
        raise
    except (av.error.FFmpegError, ValueError) as error:
        raise PermanentFailure(FailureReason.AUDIO_CORRUPT, f"the audio cannot be decoded: {_plainly(error)}") from error


def duration_s(path: Path) -> float | None:
    """What the file's header says, if it says anything."""
    try:
        with av.open(str(path), format=reader_of(path), options=READERS, metadata_errors="ignore") as container:
            return container.duration / av.time_base if container.duration else None
    except av.error.FFmpegError:
        return None


def _plainly(error: Exception) -> str:
    """The error without the name of our file."""
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


def _blocks(pieces: Iterator[Samples]) -> Iterator[Samples]:
    """Gather small arrays into blocks, and make every sample a number within -1 … 1."""
    waiting: list[Samples] = []
    length = 0
    for piece in pieces:
        waiting.append(piece)
        length += len(piece)
        if length >= BLOCK:
            gathered = _sound(waiting)
            whole = length - length % BLOCK
            yield from np.split(gathered[:whole], whole // BLOCK)
            waiting, length = [gathered[whole:]], length - whole
    if length:
        yield _sound(waiting)


def _sound(waiting: list[Samples]) -> Samples:
    return np.clip(np.nan_to_num(np.concatenate(waiting)), -1.0, 1.0)


def _timed(container: Any, channel: int | None) -> Iterator[Samples]:  # noqa: ANN401 - av is not typed for us
    """The samples of the first audio stream, with silence where its clock gets ahead of them, at once or little by little."""
    clock_s, silence_left_s = _start_of(container), MOST_SILENCE_S
    resample: _Resampling | None = None
    for frame, lost_s in readable_frames(container):
        if resample is None or not resample.takes(frame):
            if resample is not None:
                yield from resample.rest()
            resample = _Resampling(frame, channel)
        late_s = 0.0 if frame.time is None else frame.time - clock_s
        if GAP_S < late_s <= min(LARGEST_GAP_S + lost_s, silence_left_s):
            silence_left_s -= late_s
            yield from resample.rest()
            yield from _silence(late_s)
            resample = _Resampling(frame, channel)
        if late_s > GAP_S or late_s < -BACKWARD_S:
            clock_s += late_s
        yield from resample(frame)
        clock_s += frame.samples / frame.sample_rate
    if resample is None:
        raise PermanentFailure(FailureReason.AUDIO_CORRUPT, "nothing in the file decodes to audio")
    yield from resample.rest()


def _start_of(container: Any) -> float:  # noqa: ANN401 - av is not typed for us
    """When the file's own clock begins, in seconds: a sound track may begin later than its pictures."""
    return 0.0 if container.start_time is None else float(container.start_time / av.time_base)


def readable_frames(container: Any) -> Iterator[tuple[Any, float]]:  # noqa: ANN401 - av is not typed for us
    """Every frame of the first audio stream that decodes, and how many seconds of damage come before it.

    Raises `PermanentFailure` where the file can be read no further.
    """
    stream = container.streams.audio[0]
    packets = container.demux(stream)
    most_steps = MOST_STEPS_IN_PLACE + container.size // LEAST_STEP
    steps, lost_s = 0, 0.0  # since the last packet, and since the last frame
    while steps < most_steps:
        try:
            packet = next(packets, None)
        except (av.error.InvalidDataError, IndexError):  # the latter at the end, for streams that were found on the way
            steps += 1
            packets = container.demux(stream)  # an error ends the generator, not the file
            continue
        if packet is None:
            return
        steps = 0
        frames = _decoded(packet)
        lost_s += float((packet.duration or 0) * (packet.time_base or 0)) if frames is None else 0.0
        for frame in frames or ():
            if frame.sample_rate not in SAMPLE_RATES_HZ:  # by a damaged header, or a forged one
                continue
            yield frame, lost_s
            lost_s = 0.0
    raise PermanentFailure(FailureReason.AUDIO_CORRUPT, "the audio cannot be read to its end")


def _decoded(packet: Any) -> list[Any] | None:  # noqa: ANN401 - av is not typed for us
    """The packet's frames; None for damage, which decoders call invalid, not implemented, not permitted, or by own numbers."""
    try:
        frames: list[Any] = packet.decode()
    except MemoryError:
        raise
    except av.error.FFmpegError:
        return None
    return frames


def _silence(length_s: float) -> Iterator[Samples]:
    left = round(length_s * RATE)
    while left > 0:
        yield np.zeros(min(left, BLOCK), dtype=np.float32)
        left -= BLOCK


class _Resampling:
    """Turns frames of one format into samples; a stream may change its format in the middle."""

    def __init__(self, frame: Any, channel: int | None) -> None:  # noqa: ANN401 - av is not typed for us
        self._format, self._channel = self._format_of(frame), channel
        self._mix = Mix() if channel is None and frame.layout.nb_channels == STEREO else None
        mixed = channel is None and self._mix is None and frame.layout.nb_channels <= MOST_MIXED
        self._resampler = AudioResampler(format="flt", layout="mono" if mixed else frame.layout, rate=RATE)

    @staticmethod
    def _format_of(frame: Any) -> tuple[str, str, int]:  # noqa: ANN401 - av is not typed for us
        return frame.format.name, frame.layout.name, frame.sample_rate

    def takes(self, frame: Any) -> bool:  # noqa: ANN401 - av is not typed for us
        """Whether `frame` has the format this was made for."""
        return self._format_of(frame) == self._format

    def __call__(self, frame: Any) -> Iterator[Samples]:  # noqa: ANN401 - av is not typed for us
        """The frame's samples, as far as the resampler gives them away."""
        frame.pts = None  # the clock is ours
        yield from self._samples(self._resampler.resample(frame))

    def rest(self) -> Iterator[Samples]:
        """What the resampler still holds."""
        yield from self._samples(self._resampler.resample(None))

    def _samples(self, frames: Any) -> Iterator[Samples]:  # noqa: ANN401 - av is not typed for us
        for frame in frames:
            channels: Samples = by_channel(frame)
            if self._mix is not None:
                yield self._mix(channels)
            elif self._channel is None:
                yield channels.mean(axis=0)
            elif self._channel < len(channels):
                yield channels[self._channel]
            else:
                yield np.zeros_like(channels[0])


def by_channel(frame: Any) -> Samples:  # noqa: ANN401 - av is not typed for us
    """The samples of an interleaved frame, a row for each channel; av breaks down over eight that are not interleaved."""
    samples: Samples = frame.to_ndarray()
    return samples.reshape(-1, frame.layout.nb_channels).T
