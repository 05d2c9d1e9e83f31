"""The peers of the recordings benchmarks: Litestar handlers that do nothing. `python -m bench.empty_handlers PORT`.

POST takes the body apart, as any handler of a JSON body does, and drops it; GET answers with rows that it has at hand.
"""

import sys
from typing import Any

import uvicorn
from litestar import Litestar, get, post
from litestar.params import FromQuery, JSONBody

from bench.recording_rows import rows
from shared.domain.clock import now
from shared.domain.ids import new_id
from shared.domain.tenant import Mode, Tenant
from shared.events.resources import RecordingResource, recording_resource

ROWS = [recording_resource(row) for row in rows(Tenant(new_id("proj"), Mode.LIVE), new_id("eu"), 100, now())]


@post("/v1/recordings")
async def create(data: JSONBody[dict[str, Any]]) -> dict[str, int]:
    """Answer with next to nothing."""
    return {"fields": len(data)}


@get("/v1/recordings")
async def list_page(limit: FromQuery[int]) -> list[RecordingResource]:
    """Answer with so many rows."""
    return ROWS[:limit]


if __name__ == "__main__":
    app = Litestar([create, list_page], openapi_config=None)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
