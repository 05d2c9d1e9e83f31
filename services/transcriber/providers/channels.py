"""Which channels of a file have something of their own to say."""

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

LOOKED_AT_S = 600.0
SAME = 0.95  # of a channel's energy are in another: it is a copy, louder or softer, or turned over


def separate_channels(path: Path) -> tuple[int, ...]:
    """The numbers (from 0) of the channels to hear one by one; none where the file is to be heard as a whole.

    So it is with one channel, with more than `MOST_CHANNELS`, and where all are copies of one, by their first ten minutes. A file
    that cannot be read has none: whoever decodes it says what is wrong.
    """
    try:
        with av.open(str(path), format=reader_of(path), options=READERS, metadata_errors="ignore") as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None or not 1 < stream.layout.nb_channels <= MOST_CHANNELS:
                return ()
            products = _products(container, stream)
    except (av.error.FFmpegError, ValueError, PermanentFailure):
        return ()
    own: list[int] = []
    for channel, energy in enumerate(np.diag(products)):
        if all(products[channel, other] ** 2 <= SAME * energy * products[other, other] for other in own):
            own.append(channel)
    return tuple(own) if len(own) > 1 and products.any() else ()


def _products(container: Any, stream: Any) -> NDArray[np.float64]:  # noqa: ANN401 - av is not typed for us
    """The inner product of each two channels; on the diagonal each channel's energy."""
    count = stream.layout.nb_channels
    products = np.zeros((count, count))
    resampler = AudioResampler(format="flt", layout=stream.layout, rate=RATE)
    heard = 0
    for frame in readable_frames(container):
        if heard >= LOOKED_AT_S * RATE or frame.layout.nb_channels != count:
            break
        frame.pts = None
        for resampled in resampler.resample(frame):
            channels = np.nan_to_num(by_channel(resampled).astype(np.float64))
            heard += channels.shape[1]
            products += channels @ channels.T
    return products
