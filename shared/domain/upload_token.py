"""The token of one upload: it completes the upload of one recording and opens nothing else (contract A5, A10)."""

from datetime import datetime

import msgspec

from shared.domain.caller import Caller, CredentialKind
from shared.domain.secret import minted
from shared.domain.tenant import Mode, Tenant

_CHARACTERS = 40  # 238 bits


class UploadToken(msgspec.Struct, frozen=True, kw_only=True, rename={"secret_sha256": "_id"}):
    """A token as it is kept, under the SHA-256 of the secret; `media_id` is the file that it was handed out with."""

    secret_sha256: str
    project_id: str
    mode: Mode
    recording_id: str
    media_id: str
    expires_at: datetime
    last_used_at: datetime | None = None

    @property
    def caller(self) -> Caller:
        """Who the bearer is."""
        return Caller(
            tenant=Tenant(self.project_id, self.mode),
            credential_id=self.media_id,
            kind=CredentialKind.UPLOAD_TOKEN,
            recording_id=self.recording_id,
            expires_at=self.expires_at,
        )


def new_upload_token() -> str:
    """Mint the secret of a token."""
    return minted("up", _CHARACTERS)
