"""What the contract names and this service leaves out (contract A24), where a route that is served would take it in.

`/v1/recordings/search` looks like a recording of that name, read with the wrong method. It is answered as every other thing
that is left out: there is nothing here.
"""

_SHADOWED = frozenset({"/v1/recordings/search"})


def is_left_out(path: str) -> bool:
    """Say whether nothing is served at `path`, though a route with an id in it matches."""
    return path.rstrip("/") in _SHADOWED
