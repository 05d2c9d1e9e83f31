"""What the README shows works as it stands there, and every link leads somewhere."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from services.webhooks.signature import signed_headers
from shared.domain.webhook import new_signing_secret
from tests.unit.docs.markdown import ROOT

BODY = b'{"id":"evt_1","type":"recording.created"}'
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.fixture(scope="module")
def is_genuine():
    snippet = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    exec(snippet[1], names)
    return names["is_genuine"]


def test_the_readme_verifies_what_the_platform_signs(is_genuine):
    secret = new_signing_secret()
    assert is_genuine(secret, signed_headers("X-Bota", [secret], "evt_1", BODY, datetime.now(UTC)), BODY)


def test_the_readme_refuses_another_body_secret_or_time(is_genuine):
    secret, moment = new_signing_secret(), datetime.now(UTC)
    headers = signed_headers("X-Bota", [secret], "evt_1", BODY, moment)
    old = signed_headers("X-Bota", [secret], "evt_1", BODY, moment - timedelta(minutes=6))
    assert not is_genuine(secret, headers, BODY + b" ")
    assert not is_genuine(new_signing_secret(), headers, BODY)
    assert not is_genuine(secret, old, BODY)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_a_document_names_is_there(document):
    text = document.read_text(encoding="utf-8")
    links = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    paths = re.findall(r"`((?:docs|services|shared|deploy|tests|bench)/[A-Za-z0-9_./-]*[a-z/])`", text)
    missing = [name for name in links if not (document.parent / name).exists()]
    missing += [name for name in paths if not (ROOT / name).exists()]
    assert missing == []
