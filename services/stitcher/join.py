"""Joins a recording's chunks into one file, each kind the way that loses least.

| What the chunks are | How they are joined | Loss |
|---|---|---|
| byte ranges of one file of any kind; frames of one MP3 or ADTS stream; a single whole file | concatenate | none |
| such frames with zeros between them | remux: the zeros left out | none |
| one Opus encoder's packets over several Ogg files, granules going on | remux | none |
| WAV files with plain samples | pcm: one header | none |
| FLAC and other lossless files | reencode, to FLAC | none |
| Opus, MP3, AAC … files, each an encoder run of its own (ADTS: `adts_runs`) | reencode, to Opus | one generation |

The chunks are read in blocks; memory does not depend on their length. Whatever is wrong raises `PermanentFailure` with the
number of the chunk at fault. Nothing is left open; what was written to `work` is the caller's to remove.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from services.stitcher.adts_runs import cuts
from services.stitcher.arrange import arrange
from services.stitcher.bytestream import ByteStream
from services.stitcher.digest import Digests, digest_file, md5_of
from services.stitcher.joiners import Written, concatenate, join_separate
from services.stitcher.ports import Joined
from shared.domain.errors import FailureReason, PermanentFailure

_EXTENSIONS = {
    "audio/ogg": "ogg",
    "audio/wav": "wav",
    "audio/flac": "flac",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/aac": "aac",
    "audio/x-matroska": "mka",
    "video/x-matroska": "mkv",
    "audio/aiff": "aiff",
    "audio/amr": "amr",
    "audio/x-caf": "caf",
    "audio/basic": "au",
}


def join_chunks(chunks: Sequence[Path], work: Path, declared_ms: int = 0, *, threads: int | None = None) -> Joined:
    """Join local files, in order, into one new file in the empty folder `work`; `threads` defaults to all cores.

    `declared_ms`, how long the sender says it all lasts (0: it does not say), counts for independent ADTS runs alone.
    """
    if not chunks:
        raise PermanentFailure(FailureReason.CHUNK_MISSING, "no chunks to join")
    with ByteStream(chunks) as stream, ThreadPoolExecutor(1, thread_name_prefix="md5") as pool:
        arrangement = arrange(stream)
        if arrangement.kind == "aac" and (found := cuts(stream, declared_ms)) is not None:
            arrangement = arrangement._replace(separate=True, cuts=found, kept=None)
        output = work / "joined"
        contiguous = arrangement.kept is None if arrangement.opus is None else arrangement.opus.contiguous
        if not arrangement.separate and contiguous:
            written, digests = concatenate(stream, arrangement, output)
            return _joined(written, digests, digests.md5)
        chunks_md5 = pool.submit(md5_of, stream)
        written = join_separate(stream, arrangement, output, threads=threads or _cores())
        digests = written.digests or digest_file(written.path)
        return _joined(written, digests, chunks_md5.result())


def _joined(written: Written, digests: Digests, chunks_md5: str) -> Joined:
    extension = _EXTENSIONS.get(written.found.content_type, written.found.content_type.partition("/")[2].removeprefix("x-"))
    path = written.path.rename(written.path.with_suffix(f".{extension}"))
    found = written.found
    return Joined(
        path,
        found.content_type,
        extension,
        found.codec,
        found.sample_rate_hz,
        found.channels,
        found.duration_ms,
        digests.size,
        digests.sha256,
        digests.md5,
        chunks_md5,
        written.method,
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
