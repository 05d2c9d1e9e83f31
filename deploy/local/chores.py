"""Downloads before the start, each a child process that can be cut short: the speech model and the sample speech."""

import os
import sys
from pathlib import Path

from deploy.local.servers.child import Child

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / ".cache" / "samples"


class ChoreFailed(Exception):
    """Something could not be had; the message says what was tried."""


class Chore:
    """A module run to its end, once; later calls find it done."""

    def __init__(self, name: str, folder: Path, arguments: list[str]) -> None:
        self._name, self._arguments = name, arguments
        self._child = Child(name, folder / f"{name}.log")
        self._is_done = self._is_cancelled = False

    def __call__(self) -> None:
        """Run it; raises `ChoreFailed` with what it said when it fails or was cut short."""
        if self._is_done:
            return
        if not self._is_cancelled:
            self._child.start([sys.executable, "-m", *self._arguments], {"PYTHONPATH": str(ROOT)})
        if self._is_cancelled:  # it may have been while the child was being started
            self._child.kill()
        elif self._child.wait() == 0:
            self._is_done = True
        if not self._is_done:
            raise ChoreFailed(f"the {self._name} could not be had:\n{self._child.tail()}")

    def cancel(self) -> None:
        """End it at once, with what it started, unless it is done; it will not start again."""
        self._is_cancelled = True
        self._child.kill()


def model_chore(folder: Path) -> Chore:
    """Put the speech model where the transcriber, by its own settings, will look for it."""
    named = {"--model": os.environ.get("EARWITNESS_WHISPER_MODEL"), "--dir": os.environ.get("EARWITNESS_MODELS_DIR")}
    options = [word for option, value in named.items() if value for word in (option, value)]
    return Chore("speech-model", folder, ["services.transcriber.models", *options])


def samples_chore(folder: Path) -> Chore:
    """Put real human speech into `SAMPLES`."""
    return Chore("sample-speech", folder, ["deploy.local.sample_speech", str(SAMPLES)])
