"""Plays the contract's examples as they are printed, and holds the answers to what is printed (`contract/examples/`).

The rules. Sent is what is printed but for names: an id, key, token, cursor or URL to which an answer of ours gave its own value
is sent with that value; `proj_xxx` and the keys stand for the test's own. In an answer every printed key must be there, with the
printed value; what was sent comes back as it was sent. A name that was not sent has the printed form (prefix, template, the path
and query of a URL as far as they are printed) and is the same wherever the same one is printed. A time that was sent is the same
moment; `<…>` names a type, or says which texts there may be. Answers may hold more than is printed: the newer generation's names
stand beside the older one's.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from shared.domain.wire import TIME_PATTERN

FOLDER = Path(__file__).parent / "contract" / "examples"
FILES = sorted(path.stem for path in FOLDER.glob("*.json"))
OGG = b"OggS" + bytes(4092)
CONTENTS = {"ogg": OGG, "jpeg": b"\xff\xd8\xff\xe0" + bytes(60), "png": b"\x89PNG\r\n\x1a\n" + bytes(60)}
HASHES = {"<sha256 of ogg>": hashlib.sha256(OGG).hexdigest(), "<md5 of 12 ogg>": hashlib.md5(12 * OGG).hexdigest()}

_ID = re.compile(r"(rec|med|txn|dev|eu|proj|evt|we|whd|cmd|job_stitcher)_\w+")
_SECRETS = {"dtok": "dtok_[a-z0-9]{32}", "up": "up_[A-Za-z0-9]{20,80}", "whsec": "whsec_[A-Za-z0-9+/]{43}=", "cursor": r"\S+"}
_URL = re.compile(r"https?://.*")
_PRINTED_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}
_FORMS = {"time": TIME_PATTERN, "digits": r"^[0-9]+$", "hex64": r"^[0-9a-f]{64}$", "url": r"^https?://\S"}


def examples_of(name: str) -> list[dict[str, Any]]:
    """Return the examples of a file, in the order in which they follow from each other."""
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["examples"]
    return found


class Player:
    """Plays one file's examples in a project of their own; `meanwhile` does what the API alone cannot."""

    def __init__(self, api: Any, meanwhile: Any = None) -> None:
        self._api, self._meanwhile = api, meanwhile
        self._ours: dict[str, str] = dict(HASHES)  # by what is printed
        self._sent: set[str] = set()

    async def open(self) -> "Player":
        """Stand the test's own project and keys in for the printed ones."""
        api = self._api
        keys = {"sk_live_abc123": api.secret, "proj_xxx": api.project_id}
        keys["sk_test_abc123"] = await api.new_key(api.project_id, mode="test")
        keys["rk_live_reads"] = await api.new_key(api.project_id, scopes=["end_users:read"])
        self._ours |= keys
        return self

    async def play(self, example: dict[str, Any]) -> None:
        """Send one example and compare what comes back."""
        if "meanwhile" in example:
            await self._meanwhile(example["meanwhile"], self._named)
        response = await self._send(example)
        told = f"{example['section']} {example['says']}: {response.status_code} {response.text[:2000]}"
        status = example["status"]
        assert response.is_success if status == "2xx" else response.status_code == status, told
        for name, value in example.get("answer_headers", {}).items():
            faults = list(self._differences(value, response.headers.get(name), name))
            assert not faults, f"{faults}: {told}"
        if "answer" in example:
            faults = list(self._differences(example["answer"], response.json(), ""))
            assert not faults, f"{faults}: {told}"
        for name in example.get("without", ()):
            assert f'"{name}"' not in response.text, told

    async def _send(self, example: dict[str, Any]) -> Any:
        method, _, target = example["request"].partition(" ")
        url = self._url(target) if target.startswith("http") else self._api.url + self._named(target)
        headers = {name: self._named(value) for name, value in example["headers"].items()}
        body = CONTENTS[example["content"]] if "content" in example else None
        if "body" in example:
            body = json.dumps(self._replaced(example["body"])).encode()
            headers.setdefault("Content-Type", "application/json")
        if target.startswith("http") and not url.startswith(self._api.url):
            await self._api.store(url, body)
            return _Stored()
        return await self._api.client.request(method, url, headers=headers, content=body)

    def _url(self, printed: str) -> str:
        """Return the URL that stands for a printed one, or for one made from a printed template."""
        if printed in self._ours:
            return self._ours[printed]
        for template, ours in self._ours.items():
            before, found, after = template.partition("{chunk_number}")
            if found and printed.startswith(before) and printed.endswith(after):
                return ours.replace("{chunk_number}", printed[len(before) : len(printed) - len(after)])
        raise AssertionError(f"nobody gave out {printed}")

    def _named(self, text: str) -> str:
        """Put our names in the place of the printed ones."""
        return re.sub(r"\w+", lambda found: self._ours.get(found[0], found[0]), text)

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._replaced(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._replaced(item) for item in value]
        if isinstance(value, str):
            self._sent.add(value)
            return self._ours.get(value, value)
        return value

    def _differences(self, printed: Any, found: Any, place: str) -> Iterator[str]:
        """Yield where what was found is not what is printed."""
        if isinstance(printed, dict) and list(printed) == ["json"]:
            yield from self._differences(printed["json"], json.loads(found), f"{place}.json")
        elif isinstance(printed, dict) and isinstance(found, dict):
            yield from (f"{place}.{key} is missing" for key in printed.keys() - found.keys())
            for key in [key for key in printed if key in found]:
                yield from self._differences(printed[key], found[key], f"{place}.{key}")
        elif isinstance(printed, list) and isinstance(found, list) and len(printed) == len(found):
            for number, (one, other) in enumerate(zip(printed, found, strict=True)):
                yield from self._differences(one, other, f"{place}[{number}]")
        elif not self._same(printed, found):
            yield f"{place}: {found!r} is not {printed!r}"

    def _same(self, printed: Any, found: Any) -> bool:
        if not isinstance(printed, str):
            return type(printed) is type(found) and bool(printed == found)
        if printed.startswith("<") and printed not in HASHES:
            return any(_is_a(kind, found) for kind in printed[1:-1].split("|"))
        if not isinstance(found, str):
            return False
        if _PRINTED_TIME.fullmatch(printed):
            assert printed in self._sent, f"nobody sent {printed}"
            return re.search(TIME_PATTERN, found) is not None and _moment(printed) == _moment(found)
        if printed in self._ours or printed in self._sent or not self._is_name(printed, found):
            return self._ours.get(printed, printed) == found
        self._ours[printed] = found
        return True

    def _is_name(self, printed: str, found: str) -> bool:
        """Say whether what is printed stands for something that is each installation's own, and what was found may be it."""
        if kind := _ID.fullmatch(printed):
            return re.fullmatch(rf"{kind[1]}_[A-Za-z0-9]{{1,64}}", found) is not None and found not in self._ours.values()
        prefix = printed.partition("_")[0]
        if prefix in _SECRETS:
            return re.fullmatch(_SECRETS[prefix], found) is not None
        return _URL.fullmatch(printed) is not None and self._may_be(urlsplit(printed), urlsplit(found))

    def _may_be(self, printed: SplitResult, found: SplitResult) -> bool:
        """Compare two URLs: templates with templates, and as much of path and query as names what it is for."""
        path = self._named(printed.path) if _ID.search(printed.path) else ""
        alike = ("{" in printed.path) == ("{chunk_number}" in found.path)
        return alike and found.path.endswith(path) and found.query.startswith(printed.query)


class _Stored:
    """What the object store said of a PUT that it took."""

    status_code, text, is_success = 200, "", True


def _is_a(kind: str, found: Any) -> bool:
    if kind in _TYPES:
        return isinstance(found, _TYPES[kind]) and (kind in {"boolean", "object"} or not isinstance(found, bool))
    if kind in _FORMS:
        return isinstance(found, str) and re.search(_FORMS[kind], found) is not None
    return bool(found == kind)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
