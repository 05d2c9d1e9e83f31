"""Where files may be read, past the API."""

import msgspec

from services.ingest.offer_download import DownloadOffer
from shared.domain.clock import wire_time


class DownloadUrlView(msgspec.Struct, kw_only=True):
    """A URL that reads one file (contract A11)."""

    download_url: str
    media_id: str
    content_type: str
    file_size_bytes: int | None
    expires_at: str
    expires_in: int


def download_url_view(offer: DownloadOffer) -> DownloadUrlView:
    """Show a URL that reads a file."""
    return DownloadUrlView(
        download_url=offer.url,
        media_id=offer.media.id,
        content_type=offer.media.content_type,
        file_size_bytes=offer.media.file_size_bytes,
        expires_at=wire_time(offer.expires_at),
        expires_in=offer.expires_in,
    )
