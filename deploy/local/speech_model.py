"""The speech model, fetched before anything needs it: what goes wrong is said at once and in words."""

import os
import sys
from pathlib import Path

from deploy.local.servers.child import Child
from deploy.local.services import ROOT


class ModelMissing(Exception):
    """The model could not be had; the message says what was tried."""


def ensure_model(folder: Path, *, tethered: bool = True) -> Path:
    """Return the model's folder, fetching it on first use; the settings of the transcriber say which model and where."""
    named = {"--model": os.environ.get("EARWITNESS_WHISPER_MODEL"), "--dir": os.environ.get("EARWITNESS_MODELS_DIR")}
    options = [word for option, value in named.items() if value for word in (option, value)]
    fetch = Child("speech-model", folder / "speech-model.log", tethered=tethered)
    fetch.log.unlink(missing_ok=True)
    try:
        fetch.start([sys.executable, "-m", "services.transcriber.models", *options], {"PYTHONPATH": str(ROOT)})
        if fetch.wait() != 0:
            raise ModelMissing(f"the speech model is not to be had:\n{fetch.tail()}")
    finally:
        fetch.kill()
    return Path(fetch.tail(1))
