"""The joins that keep every sample: Opus packets under one numbering, PCM under one header, FLAC encoded anew."""

from collections.abc import Iterator
from pathlib import Path

import av

from services.stitcher.bytestream import BLOCK, ByteStream
from services.stitcher.containers.ogg import CONTINUED, FIRST, LAST, Page, encode_page, pages
from services.stitcher.containers.opus import OpusStream
from services.stitcher.containers.wav import Wav, header
from services.stitcher.decode import Format
from services.stitcher.reencode import clipped_frames


def remux_opus(stream: ByteStream, found: list[OpusStream], path: Path) -> None:
    """One encoder's packets, spread over chunks with headers of their own, into one Ogg file.

    Pages keep their packets and times; serial, numbering and flags are made those of one stream, later headers left out.
    """
    held: Page | None = None
    with path.open("wb") as file:
        for sequence, page in enumerate(_pages(stream, found)):
            if held is not None:
                file.write(encode_page(held))
            flags = FIRST if sequence == 0 else page.flags & CONTINUED
            held = page._replace(serial=found[0].serial, sequence=sequence, flags=flags)
        assert held is not None
        file.write(encode_page(held._replace(flags=held.flags | LAST)))


def _pages(stream: ByteStream, found: list[OpusStream]) -> Iterator[Page]:
    for index, one in enumerate(found):
        with stream.only(index) as chunk:
            for page in pages(chunk, 0 if index == 0 else one.audio_offset, verify=False):
                if page.offset >= one.end:
                    break
                yield page


def renumber(stream: ByteStream, path: Path) -> None:
    """Byte ranges of one Ogg stream whose pages each chunk numbers anew: the same pages, numbered through."""
    held: Page | None = None
    with path.open("wb") as file:
        for sequence, page in enumerate(pages(stream, verify=False)):
            if held is not None:
                file.write(encode_page(held._replace(flags=held.flags & ~LAST)))
            held = page._replace(sequence=sequence, serial=held.serial if held is not None else page.serial)
        assert held is not None
        file.write(encode_page(held._replace(flags=held.flags | LAST)))


def pcm_blocks(stream: ByteStream, found: list[Wav]) -> Iterator[bytes]:
    """One WAV: the header of the first chunk's layout over the samples of all."""
    size = sum(one.data_size for one in found)
    yield header(found[0], size)
    for index, one in enumerate(found):
        with stream.only(index) as chunk:
            for offset in range(0, one.data_size, BLOCK * 16):
                yield chunk.read_at(one.data_offset + offset, min(BLOCK * 16, one.data_size - offset))
    if size % 2:
        yield b"\0"


def to_flac(stream: ByteStream, layout: Format, path: Path) -> int:
    """Chunks of lossless audio to one FLAC; the length in samples."""
    samples = 0
    with av.open(str(path), "w", format="flac") as container:
        out = container.add_stream("flac", rate=layout.rate)
        out.codec_context.format = av.AudioFormat("s16" if layout.bits <= 16 else "s32")  # noqa: PLR2004
        for frame in clipped_frames(stream):
            if samples == 0:
                out.codec_context.layout = frame.layout
            frame.pts = samples
            samples += frame.samples
            container.mux(out.encode(frame))
        container.mux(out.encode(None))
    return samples
