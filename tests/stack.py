"""All four services as processes on real servers, for end-to-end tests."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local.api import Api, new_project
from deploy.local.plan import new_plan
from deploy.local.services import ServiceProcess
from deploy.local.stack import SERVICE_DEADLINE_S, Stack
from tests.servers import BROKER, STORE

QUICK = {
    "EARWITNESS_WEBHOOKS_SCHEDULE_S": "0,0.3,0.6,1.2,2.4" + 30 * ",4.8",  # pauses before attempts; none is the last in a test
    "EARWITNESS_WEBHOOKS_TIMEOUT_S": "5",
    "EARWITNESS_WEBHOOKS_LEASE_S": "7",
    "EARWITNESS_STITCH_LEASE_S": "4",
    "EARWITNESS_TRANSCRIBE_LEASE_S": "4",
    "EARWITNESS_TRANSCRIBE_SLOTS": "1",  # each loads the model
    "EARWITNESS_DIARIZATION_FETCH_ALLOWED": "false",  # tests take what lies in EARWITNESS_MODELS_DIR
    "EARWITNESS_SHUTDOWN_GRACE_S": "10",
    "EARWITNESS_KAFKA_FETCH_WAIT_MS": "50",  # idle consumers look for messages all the time
}
"""What makes faults pass quickly: short leases and pauses, so that whoever takes over does it soon; and cheap to leave idle."""

UNLIMITED = {
    "EARWITNESS_REQUESTS_PER_SECOND": "1000000",
    "EARWITNESS_REQUESTS_PER_MINUTE": "100000000",
    "EARWITNESS_FAILURES_PER_MINUTE": "1000000",
}
"""Rates that no test meets by being fast."""


def whole_lines(log: Path) -> str:
    """What a process wrote so far, without a line that it is just writing."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return text[: text.rfind("\n") + 1]


class RunningStack:
    """The platform with one project; `kill`, `restart` and `wipe` act on a member by name.

    Members: `mongo`, `s3`, `broker`, `ingest`, `stitcher`, `transcriber`, `webhooks`.
    """

    def __init__(self, folder: Path, extra: dict[str, str] | None = None) -> None:
        plan = new_plan(BROKER, STORE)
        called_back = {"EARWITNESS_PROVIDERS_CALLBACK_URL": f"http://127.0.0.1:{plan.ports['ingest']}"}
        self.stack = Stack(plan, folder, extra={**QUICK, **UNLIMITED, **called_back, **(extra or {})})
        self.project_id, self.api_key = "", ""

    @property
    def api_url(self) -> str:
        return self.stack.api_url

    @property
    def admin_token(self) -> str:
        return self.stack.plan.admin_token

    @property
    def api(self) -> Api:
        """The API with the project's key."""
        return Api(self.api_url, self.api_key)

    def start(self) -> None:
        self.stack.start()
        self.project_id, self.api_key = self.new_project()

    def new_project(self) -> tuple[str, str]:
        """Create a project of a test's own: its id and its key."""
        return new_project(self.api_url, self.admin_token, f"test {secrets.token_hex(4)}")

    def stop(self, name: str) -> int | None:
        """SIGTERM and wait; the exit code."""
        member = self.stack.members[name]
        member.stop()
        return member.child.exit_code

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.stack.members[name].kill()

    def start_member(self, name: str) -> None:
        """Start what was stopped or killed; returns once it is ready."""
        self.stack.members[name].start(SERVICE_DEADLINE_S)

    def restart(self, name: str) -> None:
        """Stop unless stopped, start, await readiness."""
        self.stack.members[name].restart()

    def wipe(self, name: str) -> None:
        """Kill, forget its data, start empty."""
        self.stack.members[name].wipe()

    @asynccontextmanager
    async def another(self, name: str) -> AsyncIterator[ServiceProcess]:
        """Run a second replica of a service, until the end of the block."""
        first = self.stack.services[name]
        replica = first.replica(first.folder.with_name(f"{name}-2"))
        await asyncio.to_thread(replica.start, SERVICE_DEADLINE_S)
        try:
            yield replica
        finally:
            await asyncio.to_thread(replica.stop)

    def log_of(self, name: str) -> str:
        """What a member wrote, in whole lines."""
        return whole_lines(self.stack.members[name].child.log)

    def close(self) -> None:
        self.stack.finish()
