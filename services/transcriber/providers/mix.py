"""Two channels as one: their mean, unless one is the other turned over and the mean would be silence."""

import numpy as np

from services.transcriber.samples import Samples

CANCELLED = 0.01  # of the channels' energy is left in their mean: one is turned over
HEARD = 0.1  # is left: it is not (any more)


class Mix:
    """Mixes the pieces of a stream one after the other; where it turns from the mean to one channel or back it fades."""

    def __init__(self) -> None:
        self._turned: bool | None = None  # None: nothing but silence yet

    def __call__(self, channels: Samples) -> Samples:
        """Return one piece, of channels by samples, as one channel: as loud as the two are in the mean.

        It is the first channel that stands for two of which one is turned over: they are alike in all but their sign.
        """
        mean: Samples = channels.mean(axis=0)
        before, self._turned = self._turned, self._judged(channels, mean)
        end = float(bool(self._turned))
        begin = end if before is None else float(before)
        if begin == end == 0.0:
            return mean
        share = np.linspace(begin, end, len(mean), dtype=np.float32)
        mixed: Samples = mean + share * (channels[0] - mean)
        return mixed

    def _judged(self, channels: Samples, mean: Samples) -> bool | None:
        energy = float(np.mean(np.square(channels), dtype=np.float64))
        if not energy > 0.0 or not np.isfinite(energy):
            return self._turned
        left = float(np.mean(np.square(mean), dtype=np.float64)) / energy
        return left < (HEARD if self._turned else CANCELLED)
