"""Which channels of a file have something of their own to say; run in worker processes, for it decodes."""

from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from services.transcriber.ports import MOST_CHANNELS
from services.transcriber.providers.decode import by_channel, readable_frames
from services.transcriber.samples import RATE
from shared.demux import reader_of
from shared.domain.errors import PermanentFailure
from shared.domain.magic import READERS
from shared.workers import Work

LOOKED_AT_S = 600.0
SAME = 0.95  # of a channel's energy are in another: it is a copy, louder or softer, or turned over


def separate_channels(path: Path) -> tuple[int, ...]:
    """The numbers (from 0) of the channels to hear one by one; none where the file is to be heard as a whole.

    So it is with one channel, with more than `MOST_CHANNELS`, and where all are copies of one, by their first ten minutes. A file
    that cannot be read has none: whoever decodes it says what is wrong.
    """
    products = _read(path)
    if products is None or not products.any():
        return ()
    own = _own(products)
    return own if len(own) > 1 else ()


def initialize(_settings: None) -> Work[Path, bool]:
    """Make a worker process ready that says of files whether their channels are all the same."""
    return lambda path, _report: are_alike(path)


def are_alike(path: Path) -> bool:
    """Say whether all channels are copies of one, by their first ten minutes; not of a file in which nothing can be heard."""
    products = _read(path)
    return products is not None and bool(products.any()) and len(_own(products)) == 1


def _own(products: NDArray[np.float64]) -> tuple[int, ...]:
    """The channels that are no copies of those before them."""
    own: list[int] = []
    for channel, energy in enumerate(np.diag(products)):
        if all(products[channel, other] ** 2 <= SAME * energy * products[other, other] for other in own):
            own.append(channel)
    return tuple(own)


def _read(path: Path) -> NDArray[np.float64] | None:
    """The products of the channels; None where there is one, or more than are told apart, or none that can be read."""
    try:
        with av.open(str(path), format=reader_of(path), options=READERS, metadata_errors="ignore") as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None or getattr(stream, "codec_context", None) is None:  # PyAV's types know of no unknown codec
                return None
            if not 1 < stream.layout.nb_channels <= MOST_CHANNELS:
                return None
            return _products(container, stream)
    except (av.error.FFmpegError, ValueError, PermanentFailure):
        return None


def _products(container: Any, stream: Any) -> NDArray[np.float64]:  # noqa: ANN401 - av is not typed for us
    """The inner product of each two channels; on the diagonal each channel's energy."""
    count = stream.layout.nb_channels
    products = np.zeros((count, count))
    resampler = AudioResampler(format="flt", layout=stream.layout, rate=RATE)
    heard = 0
    for frame, _ in readable_frames(container):
        if heard >= LOOKED_AT_S * RATE or frame.layout.nb_channels != count:
            break
        frame.pts = None
        for resampled in resampler.resample(frame):
            channels = np.nan_to_num(by_channel(resampled).astype(np.float64))
            heard += channels.shape[1]
            products += channels @ channels.T
    return products
