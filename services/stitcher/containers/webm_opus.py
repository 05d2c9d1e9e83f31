"""Opus in WebM or Matroska (what browsers record), measured by its packets.

Block times count in whole milliseconds, and some muxers write a CodecDelay that contradicts the Opus header they write beside
it; so the header's pre-skip, the packets' own lengths and the last block's discard padding decide, as they do in Ogg.
"""

from collections.abc import Iterator
from pathlib import Path

import av

from services.stitcher.containers.malformed import corrupt
from services.stitcher.containers.opus import OpusStream, identified, lossless_rate, packet_samples
from shared.domain.magic import READERS

_DISCARD_AT_END = slice(4, 8)  # of FFmpeg's skip-samples side data


def packets(path: Path) -> Iterator[bytes]:
    """The Opus packets of the file's first audio stream."""
    with av.open(str(path), options=READERS) as container:
        for packet in container.demux(container.streams.audio[0]):
            if packet.size:
                yield bytes(packet)


def scan(path: Path, blocks: int = 0) -> OpusStream:
    """What the stream holds, in the same terms as one in Ogg; raises `Malformed` when fewer than `blocks` can be read of it.

    Of a file that has other streams, whose blocks they may be, that is not asked.
    """
    with av.open(str(path), options=READERS) as container:
        stream = container.streams.audio[0]
        head = stream.codec_context.extradata or b""
        if not head.startswith(b"OpusHead"):
            raise corrupt(0, "no Opus header")
        found = identified(head)
        discard = count = 0
        for packet in container.demux(stream):
            if not packet.size:
                continue
            count += 1
            data = bytes(packet)
            found.packet_bytes += len(data)
            found.packet_samples += packet_samples(data)
            found.rate = max(found.rate, lossless_rate(data))
            discard = next((int.from_bytes(bytes(side)[_DISCARD_AT_END], "little") for side in packet.iter_sidedata()), 0)
        if count < blocks and len(container.streams) == 1:
            raise corrupt(0, "a block cannot be read")
        found.last = found.packet_samples - discard
        return found
