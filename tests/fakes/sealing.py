"""Sealing keys for tests."""

import base64

from shared.sealing import Sealing

SEALING_KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_SEALING_KEY = base64.b64encode(bytes(range(32, 64))).decode()


def a_sealing(*keys):
    """Seal under the first key; without any, under the one that all tests share."""
    return Sealing(keys or (SEALING_KEY,))
