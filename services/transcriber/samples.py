"""Audio as every engine here takes it."""

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
"""Samples a second."""

Samples = NDArray[np.float32]
"""One channel at `RATE`, each sample within -1 … 1."""
