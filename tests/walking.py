"""Lists read page by page while rows come and go: what every walk by cursor has to show, whoever keeps the rows."""

import random
from dataclasses import dataclass

from hypothesis import strategies as st

LISTS = ("/recordings", "/recordings?end_user_id={end_user_id}", "/end-users", "/webhook-endpoints")
CHANGES = st.lists(st.sampled_from(["add", "add", "remove", "remove", "remove newest", "pass"]), max_size=5)


@dataclass(frozen=True)
class Walk:
    """How many rows there are, how many a page holds, and what happens after each page."""

    rows: int
    limit: int
    turns: list[list[str]]
    seed: int


WALKS = st.builds(
    Walk,
    rows=st.integers(0, 9),
    limit=st.integers(1, 4),
    turns=st.lists(CHANGES, max_size=6),
    seed=st.integers(0, 1 << 32),
)


class Rows:
    """One list, in a project of its own."""

    def __init__(self, api, listed):
        self.api, self.listed, self.present = api, listed, []

    async def open(self):
        organization = await self.api.admin("POST", "/organizations", {"name": "Acme"})
        self.secret = await self.api.new_key(await self.api.new_project(organization["id"]))
        self.bodies = {"end-users": {}, "webhook-endpoints": {"url": "https://customer.example/hook", "events": ["*"]}}
        if self.listed.startswith("/recordings"):
            end_user_id = (await self.api.ok("POST", "/end-users", {}, secret=self.secret))["id"]
            self.bodies["recordings"] = {"end_user_id": end_user_id}
            self.listed = self.listed.format(end_user_id=end_user_id)
        self.path = self.listed.partition("?")[0]
        return self

    async def add(self):
        body = self.bodies[self.path.removeprefix("/")]
        self.present.append((await self.api.ok("POST", self.path, body, secret=self.secret))["id"])

    async def remove(self, row_id):
        answer = await self.api.call("DELETE", f"{self.path}/{row_id}", secret=self.secret)
        assert answer.status_code == 204, answer.text
        self.present.remove(row_id)

    async def change(self, change, chance):
        if change == "add":
            await self.add()
        elif change.startswith("remove") and self.present:
            await self.remove(max(self.present) if change == "remove newest" else chance.choice(self.present))

    async def page(self, limit, cursor):
        query = f"{'&' if '?' in self.listed else '?'}limit={limit}" + (f"&cursor={cursor}" if cursor else "")
        return await self.api.ok("GET", self.listed + query, secret=self.secret)


async def check_walk(rows, walk):
    """Walk the list while it changes: no row comes twice, and each that stood throughout comes, in order."""
    chance, turns = random.Random(walk.seed), list(walk.turns)
    for _ in range(walk.rows):
        await rows.add()
    stood, seen, cursors, more, cursor = set(rows.present), [], [], True, None
    while more:
        page = await rows.page(walk.limit, cursor)
        found = [row["id"] for row in page["data"]]
        assert len(found) <= walk.limit
        assert set(found) <= set(rows.present)  # nothing that was gone by then
        seen += found
        more, cursor = page["has_more"], page["next_cursor"]
        assert more is (cursor is not None)
        assert cursor not in cursors
        assert found or not more
        cursors += [cursor] if more else []
        for change in turns.pop(0) if turns else ():
            await rows.change(change, chance)
            stood &= set(rows.present)
    assert seen == sorted(set(seen), reverse=True)
    assert stood <= set(seen)
