"""What clients send of end users."""

from typing import Annotated

import msgspec

from services.ingest.bodies import Name
from services.ingest.limits import Metadata

ExternalId = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Email = Annotated[str, msgspec.Meta(min_length=3, max_length=320, pattern=r"^[^@\s]+@[^@\s]+\Z")]


class CreateEndUser(msgspec.Struct, kw_only=True):
    """`POST /end-users`."""

    external_id: ExternalId | None = None
    email: Email | None = None
    name: Name | None = None
    metadata: Metadata | None = None
