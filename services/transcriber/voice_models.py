"""Where the two models for telling speakers apart come from: our folders, or the releases of the sherpa-onnx project.

`python -m services.transcriber.voice_models` fetches them and prints where they lie.
"""

import argparse
import hashlib
import sys
import tarfile
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import msgspec

from services.transcriber.diarization.settings import SherpaSettings
from services.transcriber.model_folders import ModelUnavailable, default_folder, locked, writable
from shared.telemetry.logs import get_logger

log = get_logger()

RELEASES = "https://github.com/k2-fsa/sherpa-onnx/releases/download"
CONNECT_S = 10.0
LARGEST_BYTES = 200_000_000
BLOCK_BYTES = 1 << 20


class VoiceModel(msgspec.Struct, frozen=True):
    """One model: its file's name with us, its place among the releases, and its name in the archive where that is one."""

    name: str
    release: str
    member: str | None = None


SEGMENTATION = VoiceModel(
    "segmentation.onnx",  # pyannote's segmentation-3.0: who speaks at once
    "speaker-segmentation-models/sherpa-onnx-pyannote-segmentation-3-0.tar.bz2",
    "sherpa-onnx-pyannote-segmentation-3-0/model.onnx",
)
VOICES = VoiceModel(
    "campplus.onnx",  # 3D-Speaker's CAM++: whose voice it is
    "speaker-recongition-models/3dspeaker_speech_campplus_sv_zh_en_16k-common_advanced.onnx",  # so spelt there
)


class VoiceSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where the models may come from, and which bytes they must be where that is pinned.

    `folders` are searched in order; the first that can be written takes what is fetched.
    """

    folders: tuple[Path, ...]
    fetch_allowed: bool = True
    segmentation_sha256: str | None = None
    voices_sha256: str | None = None
    releases: str = RELEASES


def resolve_voice_models(source: VoiceSource) -> SherpaSettings:
    """Both models, as settings of the engine; raises `ModelUnavailable`, which says what was tried.

    Blocks while it fetches. Safe in several processes at once: one fetches, the others wait and find it.
    """
    return SherpaSettings(
        segmentation=_resolved(SEGMENTATION, source.segmentation_sha256, source),
        voices=_resolved(VOICES, source.voices_sha256, source),
    )


def _resolved(model: VoiceModel, sha256: str | None, source: VoiceSource) -> Path:
    tried: list[str] = []
    if found := _found(model, sha256, source.folders, tried):
        return found
    if not source.fetch_allowed:
        raise ModelUnavailable(f"{model.name} is not to be had: {'; '.join(tried)}; fetching: not allowed by the settings")
    home = writable(source.folders, tried)
    with locked(home / f".{model.name}.lock"):
        return _found(model, sha256, source.folders, []) or _fetched(model, sha256, source, home)


def _found(model: VoiceModel, sha256: str | None, folders: tuple[Path, ...], tried: list[str]) -> Path | None:
    for folder in folders:
        path = folder / model.name
        if not path.is_file():
            tried.append(f"{path}: not there")
        elif sha256 and _digest(path) != sha256:
            tried.append(f"{path}: not the pinned file")
        else:
            return path
    return None


def _fetched(model: VoiceModel, sha256: str | None, source: VoiceSource, home: Path) -> Path:
    """Fetch beside the target, check, and rename: what stands there is always whole."""
    url = f"{source.releases}/{model.release}"
    with TemporaryDirectory(dir=home, prefix=f".{model.name}-") as folder:
        fresh = Path(folder) / "fresh"
        try:
            _download(url, model.member, fresh)
        except (OSError, EOFError, KeyError, tarfile.TarError) as error:
            raise ModelUnavailable(f"{model.name} could not be fetched from {url}: {type(error).__name__}: {error}") from error
        digest = _digest(fresh)
        if sha256 and digest != sha256:
            raise ModelUnavailable(f"{url} does not hold the pinned {model.name}, but one with SHA-256 {digest}")
        fresh.replace(home / model.name)
    log.info("model.fetched", url=url, sha256=digest)
    return home / model.name


def _download(url: str, member: str | None, into: Path) -> None:
    whole = into.with_name("download")
    with urllib.request.urlopen(url, timeout=CONNECT_S) as answer, whole.open("wb") as target:  # noqa: S310 - our own URL
        expected = answer.headers.get("Content-Length")
        _copy(answer, target)
    if expected is not None and whole.stat().st_size != int(expected):
        raise OSError("the answer was cut short")
    if member is None:
        whole.rename(into)
        return
    with tarfile.open(whole) as archive:
        inside = archive.extractfile(member)
        if inside is None:
            raise KeyError(f"{member} is no file")
        with inside, into.open("wb") as target:
            _copy(inside, target)


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    """Copy what is not too large to be a model."""
    left = LARGEST_BYTES
    while block := source.read(min(BLOCK_BYTES, left + 1)):
        left -= len(block)
        if left < 0:
            raise OSError(f"larger than {LARGEST_BYTES} bytes")
        target.write(block)


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def main(arguments: list[str]) -> int:
    """Fetch the models for telling speakers apart and print their paths; a failure is printed and told by the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.transcriber.voice_models", description=main.__doc__)
    parser.add_argument("--dir", type=Path, action="append", help="where models are kept; may be given several times")
    folders = (*(parser.parse_args(arguments).dir or ()), default_folder())
    try:
        models = resolve_voice_models(VoiceSource(folders=folders))
    except ModelUnavailable as unavailable:
        print(unavailable, file=sys.stderr)  # noqa: T201 - a command line program
        return 1
    print(models.segmentation, models.voices, sep="\n")  # noqa: T201 - a command line program
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
