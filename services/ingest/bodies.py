"""What clients send, as Structs: unknown keys are passed over, wrong types refused (contract A1)."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from services.ingest.limits import MAX_CHUNK_NUMBER, MAX_INTEGER, MAX_NAME, YEARS_PATTERN, Metadata
from shared.domain.caller import SCOPES
from shared.domain.media import MediaType
from shared.domain.tenant import Mode
from shared.domain.transcription import Priority, ProviderName, Redaction

Name = Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
RequiredName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Moment = Annotated[datetime, msgspec.Meta(tz=True, extra_json_schema={"pattern": YEARS_PATTERN})]
Size = Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
ChunkNumber = Annotated[int, msgspec.Meta(ge=1, le=MAX_CHUNK_NUMBER)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{64}\Z")]
Md5 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-fA-F]{32}\Z")]
SCOPE = msgspec.Meta(extra_json_schema={"enum": list(SCOPES)})
Language = Annotated[str, msgspec.Meta(min_length=1, max_length=10)]


class CreateRecording(msgspec.Struct, kw_only=True):
    """`POST /recordings`."""

    end_user_id: Identifier | None = None
    device_id: Identifier | None = None
    name: Name | None = None
    started_at: Moment | None = None
    ended_at: Moment | None = None
    recorded_at: Moment | None = None
    metadata: Metadata | None = None
    streaming: bool | None = None
    source: Literal["device", "app_import", "api_upload"] | None = None
    upload_method: Word | None = None
    recording_uuid: Identifier | None = None
    recording_generation: Size | None = None


class RequestUpload(msgspec.Struct, kw_only=True):
    """`POST /recordings/{id}/upload-url`."""

    type: MediaType | None = None
    content_type: Annotated[str, msgspec.Meta(max_length=128)] | None = None
    file_size_bytes: Size | None = None
    captured_at: Moment | None = None


class RequestDownload(msgspec.Struct, kw_only=True):
    """`POST /recordings/{id}/download-url`."""

    media_id: Identifier


class CompleteUpload(msgspec.Struct, kw_only=True):
    """`POST /recordings/{id}/upload-complete`; the size may be a text, as large integers sometimes are.

    `recording_id` may be repeated from the path.
    """

    recording_id: Identifier | None = None
    content_sha256: Sha256 | None = None
    file_size_bytes: Size | Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,18}\Z")] | None = None


class RequestChunkUrls(msgspec.Struct, kw_only=True):
    """`POST /recordings/{id}/chunk-urls`."""

    first: ChunkNumber = msgspec.field(name="from")
    count: Annotated[int, msgspec.Meta(ge=1, le=1000)]


class FinalizeRecording(msgspec.Struct, kw_only=True):
    """`POST /recordings/{id}/finalize`, with the names that other clients use for the same things (contract 7.2)."""

    total_chunks: ChunkNumber
    final_duration_ms: Milliseconds | None = None
    duration_ms: Milliseconds | None = None
    final_file_size_bytes: Size | None = None
    file_size_bytes: Size | None = None
    checksum_md5: Md5 | None = None


class Transcribe(msgspec.Struct, kw_only=True):
    """`POST /recordings/{id}/transcribe`."""

    language: Language | None = None
    diarization: bool | None = None
    provider: ProviderName | None = None
    num_speakers: Annotated[int, msgspec.Meta(ge=1, le=20)] | None = None
    multichannel: bool | None = None
    prompt: Annotated[str, msgspec.Meta(max_length=1000)] | None = None
    vocabulary: Annotated[list[Word], msgspec.Meta(max_length=100)] | None = None
    redact: Annotated[list[Redaction], msgspec.Meta(max_length=10)] | None = None
    priority: Priority | None = None


class CreateTranscription(Transcribe, kw_only=True):
    """`POST /transcriptions`."""

    recording_id: Identifier


class CreateOrganization(msgspec.Struct, kw_only=True):
    """`POST /admin/organizations`."""

    name: RequiredName


class CreateProject(msgspec.Struct, kw_only=True):
    """`POST /admin/projects`."""

    organization_id: Identifier
    name: RequiredName


class CreateKey(msgspec.Struct, kw_only=True):
    """`POST /admin/projects/{id}/api-keys`: a restricted key when scopes are given, else a secret one."""

    mode: Mode = Mode.LIVE
    name: Name | None = None
    scopes: Annotated[list[Annotated[str, SCOPE]], msgspec.Meta(min_length=1)] | None = None
    expires_at: Moment | None = None


class PutProviderKey(msgspec.Struct, kw_only=True):
    """`PUT /provider-keys/{provider}`."""

    api_key: Annotated[str, msgspec.Meta(min_length=1, max_length=512, extra_json_schema={"pattern": "^[!-~]+$"})]
