"""An order at a provider on the network, kept apart from its transcription: it stays until nothing of it is left there.

It says who may send the answer, and what the provider keeps and is yet to be told to delete.
"""

from datetime import datetime

import msgspec

from shared.domain.object_keys import answer_key
from shared.domain.secret import minted
from shared.domain.tenant import Mode, Tenant
from shared.domain.transcription import ProviderName, Transcription

_CHARACTERS = 48  # 285 bits


class ProviderOrder(msgspec.Struct, frozen=True, kw_only=True, rename={"id": "_id"}):
    """What was ordered of one provider for one transcription; each provider is tried once.

    `tokens` are the SHA-256 of the tokens whose bearer may send the answer, `copies` the provider's own ids of what it keeps.
    `mark` is by what a job can be found there that was ordered and whose id nobody lived to note. `due_at` is when to look if
    the transcription has ended; None once nothing is left to do. `tries` counts how often deleting the copies failed.
    """

    id: str
    project_id: str
    mode: Mode
    recording_id: str
    transcription_id: str
    provider: ProviderName
    tokens: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    mark: str | None = None
    due_at: datetime | None
    tries: int = 0
    expires_at: datetime | None = None

    @property
    def tenant(self) -> Tenant:
        """Whose order it is."""
        return Tenant(self.project_id, self.mode)

    @property
    def answer_key(self) -> str:
        """Where in the bucket the answer waits to be read."""
        return answer_key(self.project_id, self.recording_id, self.transcription_id, self.provider)

    def is_needed_by(self, transcription: Transcription | None) -> bool:
        """Say whether its transcription still waits for it: it has not ended, nor turned to another provider."""
        return transcription is not None and transcription.active and transcription.provider is self.provider

    def is_awaited_by(self, transcription: Transcription | None) -> bool:
        """Say whether its transcription waits for its answer, which has not come before."""
        if transcription is None or transcription.remote is None or not self.is_needed_by(transcription):
            return False
        return transcription.remote.provider is self.provider and transcription.remote.answered_at is None


def provider_order(
    transcription: Transcription,
    due_at: datetime,
    *,
    tokens: tuple[str, ...] = (),
    copies: tuple[str, ...] = (),
    mark: str | None = None,
) -> ProviderOrder:
    """Return the order of the transcription at its present provider."""
    return ProviderOrder(
        id=provider_order_id(transcription),
        project_id=transcription.project_id,
        mode=transcription.mode,
        recording_id=transcription.recording_id,
        transcription_id=transcription.id,
        provider=transcription.provider,
        tokens=tokens,
        copies=copies,
        mark=mark,
        due_at=due_at,
    )


def provider_order_id(transcription: Transcription) -> str:
    """Return the id of the transcription's order at its present provider."""
    return f"{transcription.id}:{transcription.provider}"


def new_callback_token() -> str:
    """Mint the token by which a provider's answer is let in."""
    return minted("cbk", _CHARACTERS)
