"""The peer of the chunk benchmark: a Litestar handler that reads a body and drops it. `python -m bench.bare_handler PORT`."""

import sys

import uvicorn
from litestar import Litestar, Request, put


@put("/{name:str}", request_max_body_size=None)
async def drop(request: Request) -> dict[str, int]:  # type: ignore[type-arg]  # nothing of the generic is used
    """Read the body piece by piece and answer with its length."""
    size = 0
    async for piece in request.stream():
        size += len(piece)
    return {"size_bytes": size}


if __name__ == "__main__":
    app = Litestar([drop], openapi_config=None)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
