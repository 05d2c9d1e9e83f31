"""The state tables in docs/architecture.md are those of the code."""

import pytest

from shared.domain import delivery, device_command, recording, transcription
from tests.unit.docs.markdown import NOTHING, ROOT, rows_under

TABLES = {
    "Recording": recording.FOLLOWS,
    "Transcription": transcription.FOLLOWS,
    "Delivery": delivery.FOLLOWS,
    "Command": device_command.FOLLOWS,
}


@pytest.mark.parametrize("subject", TABLES)
def test_a_state_table_is_that_of_the_code(subject):
    follows = TABLES[subject].items()
    known = [(f"`{source}`", ", ".join(f"`{target}`" for target in sorted(targets)) or NOTHING) for source, targets in follows]
    assert rows_under(ROOT / "docs/architecture.md", subject) == known
