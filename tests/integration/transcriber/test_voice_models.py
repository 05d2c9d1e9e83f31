"""Where the models for telling speakers apart come from: real files, a real server, and what it does wrong."""

import hashlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from services.transcriber import find_models
from services.transcriber.model_folders import ModelUnavailable
from services.transcriber.settings import SpeechSettings
from services.transcriber.voice_models import SEGMENTATION, VOICES, VoiceSource, resolve_voice_models
from shared.telemetry.logs import captured_lines

SEGMENTS, VOICE = b"segments " * 9000, b"voices " * 9000


def archive(member, content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2") as tar:
        about = tarfile.TarInfo(member)
        about.size = len(content)
        tar.addfile(about, io.BytesIO(content))
    return buffer.getvalue()


class Releases:
    """A server with the two release files; each may be replaced, cut short or removed."""

    def __init__(self):
        self.files = {SEGMENTATION.release: archive(SEGMENTATION.member, SEGMENTS), VOICES.release: VOICE}
        self.cut: set[str] = set()
        self.asked: list[str] = []

    def answer(self, handler):
        name = handler.path.lstrip("/")
        self.asked.append(name)
        content = self.files.get(name)
        handler.send_response(404 if content is None else 200)
        handler.send_header("Content-Length", str(len(content or b"")))
        handler.end_headers()
        handler.wfile.write((content or b"")[: 1000 if name in self.cut else None])


@pytest.fixture
def releases():
    shelf = Releases()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            shelf.answer(self)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shelf.url = f"http://127.0.0.1:{server.server_port}"
    yield shelf
    server.shutdown()
    server.server_close()


def source(releases, *folders, **wanted):
    return VoiceSource(folders=folders, releases=releases.url, **wanted)


def lay(folder, segments=SEGMENTS, voice=VOICE):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SEGMENTATION.name).write_bytes(segments)
    (folder / VOICES.name).write_bytes(voice)
    return folder


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_models_are_fetched_once_and_found_again(releases, tmp_path):
    found = resolve_voice_models(source(releases, tmp_path / "models"))
    assert (found.segmentation.read_bytes(), found.voices.read_bytes()) == (SEGMENTS, VOICE)
    assert resolve_voice_models(source(releases, tmp_path / "models")) == found
    assert releases.asked == [SEGMENTATION.release, VOICES.release]
    assert sorted(path.name for path in (tmp_path / "models").iterdir() if not path.name.startswith(".")) == [
        VOICES.name,
        SEGMENTATION.name,
    ]


def test_what_lies_in_a_folder_is_taken_as_it_is(releases, tmp_path):
    folder = lay(tmp_path / "configured")
    found = resolve_voice_models(source(releases, folder, tmp_path / "cache"))
    assert (found.segmentation.parent, releases.asked) == (folder, [])


def test_a_pinned_file_is_the_only_one_that_is_taken(releases, tmp_path):
    lay(tmp_path / "old", voice=b"another model")
    pins = {"segmentation_sha256": sha256(SEGMENTS), "voices_sha256": sha256(VOICE)}
    found = resolve_voice_models(source(releases, tmp_path / "old", tmp_path / "new", **pins))
    assert (found.segmentation.parent.name, found.voices.read_bytes()) == ("old", VOICE)
    with pytest.raises(ModelUnavailable, match=f"pinned {VOICES.name}.*{sha256(VOICE)}"):
        resolve_voice_models(source(releases, tmp_path / "empty", voices_sha256="0" * 64))


def test_an_answer_cut_short_leaves_nothing_behind(releases, tmp_path):
    releases.cut.add(VOICES.release)
    with pytest.raises(ModelUnavailable, match=VOICES.release.rsplit("/", maxsplit=1)[1]):
        resolve_voice_models(source(releases, tmp_path))
    assert not (tmp_path / VOICES.name).exists()
    assert (tmp_path / SEGMENTATION.name).exists()


@pytest.mark.parametrize("content", [None, b"no archive at all", archive("elsewhere/model.onnx", SEGMENTS)])
def test_what_is_not_the_release_is_refused(releases, tmp_path, content):
    releases.files[SEGMENTATION.release] = content
    with pytest.raises(ModelUnavailable, match=SEGMENTATION.name):
        resolve_voice_models(source(releases, tmp_path))


def test_nothing_is_fetched_against_the_settings(releases, tmp_path):
    with pytest.raises(ModelUnavailable, match=r"not there.*not allowed"):
        resolve_voice_models(source(releases, tmp_path, fetch_allowed=False))
    assert releases.asked == []


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine that has the speech model and nothing else, and may fetch nothing."""
    monkeypatch.setattr(find_models, "default_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(find_models, "resolve_model", lambda _: tmp_path / "whisper")
    return tmp_path


def test_where_speakers_cannot_be_told_apart_transcriptions_go_without(nowhere):
    with captured_lines() as lines:
        assert find_models.with_models(SpeechSettings(diarization_fetch_allowed=False)).diarization is None
    assert [line["event"] for line in lines] == ["diarization.unavailable"]
    assert "not allowed" in lines[0]["reason"]


def test_where_speakers_are_required_the_service_does_not_start_without(nowhere):
    with pytest.raises(ModelUnavailable):
        find_models.with_models(SpeechSettings(diarization="required", diarization_fetch_allowed=False))


def test_the_threshold_and_the_configured_folder_count_and_off_is_off(nowhere):
    folder = lay(nowhere / "models")
    found = find_models.with_models(SpeechSettings(models_dir=folder, diarization_threshold=0.7)).diarization
    assert (found.voices, found.threshold) == (folder / VOICES.name, 0.7)
    assert find_models.with_models(SpeechSettings(models_dir=folder, diarization="off")).diarization is None
