"""What the watcher sees: one line per recording, moving through its statuses, and every webhook as it arrives."""

import threading
import time
from typing import Self

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from deploy.local.demo.receiver import Delivery

_ENDS = ("completed", "failed", "integrity_failure")


class Line(msgspec.Struct):
    """One recording."""

    label: str
    statuses: list[str] = []
    events: set[str] = set()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return bool(self.statuses) and self.statuses[-1] in _ENDS


class Board:
    """Shows progress live on a terminal, and as plain lines elsewhere. Safe to call from any thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._lines: dict[str, Line] = {}
        self._live = Live(console=console, refresh_per_second=10, get_renderable=self._render, transient=False)
        self.forged = 0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line with the time since the start."""
        self._console.print(f"[dim]{time.monotonic() - self._began:5.1f} s[/]  {text}", highlight=False)

    def follow(self, recording_id: str, label: str) -> None:
        """Show a recording from now on."""
        with self._lock:
            self._lines.setdefault(recording_id, Line(label)).label = label

    def status(self, recording_id: str, status: str) -> None:
        """Note the status that a recording has now."""
        with self._lock:
            line = self._lines[recording_id]
            if line.statuses and line.statuses[-1] == status:
                return
            line.statuses.append(status)
        if not self._console.is_terminal:
            self.say(f"{line.label}: {status}")

    def delivered(self, delivery: Delivery) -> None:
        """Note and show a webhook."""
        with self._lock:
            line = self._lines.setdefault(delivery.recording_id, Line(delivery.recording_id))
            line.events.add(delivery.type)
            self.forged += not delivery.is_genuine
        proof = "[green]signature verified[/]" if delivery.is_genuine else "[red]SIGNATURE WRONG[/]"
        self.say(f"webhook  {delivery.type:<24} {line.label:<22} {proof}")

    def events_of(self, recording_id: str) -> frozenset[str]:
        """Return the types of the webhooks that arrived for a recording."""
        with self._lock:
            line = self._lines.get(recording_id)
            return frozenset(line.events) if line else frozenset()

    def _render(self) -> RenderableType:
        with self._lock:
            table = Table.grid(padding=(0, 2))
            for line in self._lines.values():
                mark: RenderableType = Text("✓", style="green") if line.is_over else Spinner("dots")
                table.add_row(mark, Text(line.label, style="bold"), Text(" → ".join(line.statuses)))
            return Group("", table)
