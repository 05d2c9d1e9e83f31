"""The few calls of the HTTP API that set a stack up: plain standard library, as an operator's script would have it."""

import json
import urllib.error
import urllib.request
from typing import Any

_TIMEOUT_S = 15.0


class ApiRefused(Exception):
    """The API answered with an error; the message holds its body."""


class Api:
    """The API with one credential."""

    def __init__(self, url: str, credential: str) -> None:
        self.url = url
        self._credential = credential

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST a JSON body; return the answer."""
        return self._call("POST", path, body)

    def get(self, path: str) -> dict[str, Any]:
        """GET a resource."""
        return self._call("GET", path, None)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """PUT a JSON body; return the answer."""
        return self._call("PUT", path, body)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310  # our own API's URL
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._credential}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                content = answer.read()
        except urllib.error.HTTPError as refused:
            raise ApiRefused(f"{method} {path}: {refused.code} {refused.read().decode(errors='replace')}") from refused
        decoded: dict[str, Any] = json.loads(content) if content else {}
        return decoded


def end_user(api: Api, external_id: str) -> str:
    """Return the id of the project's end user of this `external_id`, made if there is none."""
    found = api.get(f"/v1/end-users?external_id={external_id}")["data"]
    made = found[0] if found else api.post("/v1/end-users", {"external_id": external_id})
    return str(made["id"])


def new_project(api_url: str, admin_token: str, name: str) -> tuple[str, str]:
    """Create an organization, a project and a key with all scopes; return the project's id and the key."""
    admin = Api(api_url, admin_token)
    organization = admin.post("/v1/admin/organizations", {"name": name})
    project = admin.post("/v1/admin/projects", {"organization_id": organization["id"], "name": name})
    key = admin.post(f"/v1/admin/projects/{project['id']}/api-keys", {"name": name, "mode": "live"})
    return project["id"], key["secret"]
