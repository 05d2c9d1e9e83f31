"""The description and its page, as served: everything of our own origin, under a strict policy."""

import json
import re
from urllib.parse import urljoin

import pytest

from tests.conformance import document

ROOT = "http://api.test"


async def test_the_document_is_served_as_json_and_the_same_each_time(api):
    first, second = [await api.call("GET", f"{ROOT}/openapi.json", secret="") for _ in range(2)]
    assert (first.headers["content-type"], first.content) == ("application/json", second.content)
    assert first.json() == json.loads(json.dumps(document()))


@pytest.mark.parametrize("url", [f"{ROOT}/docs", f"{ROOT}/docs/"])
async def test_the_page_asks_only_for_what_is_served_beside_it(api, url):
    page = await api.call("GET", url, secret="")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    wanted = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(wanted) == 5
    for path in wanted:
        assert (await api.call("GET", urljoin(url, path), secret="")).status_code == 200
    assert "<script>" not in page.text
    assert "style=" not in page.text


@pytest.mark.parametrize("name", ["swagger-ui.js", "..%2F..%2Fcore.py", "index.html", "LICENSE"])
async def test_nothing_else_of_the_package_is_served(api, name):
    assert (await api.call("GET", f"{ROOT}/docs/{name}", secret="")).status_code == 404
