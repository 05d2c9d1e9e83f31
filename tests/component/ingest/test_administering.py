"""What the operator does: organizations, projects and keys (contract A5)."""

import pytest


async def test_an_organization_is_created_read_and_listed(api):
    made = await api.admin("POST", "/organizations", {"name": "Acme"})
    assert made["id"].startswith("org_")
    assert await api.admin("GET", f"/organizations/{made['id']}") == made
    assert made in (await api.admin("GET", "/organizations?limit=100"))["data"]


async def test_a_project_belongs_to_an_organization_that_exists(api):
    organization = await api.admin("POST", "/organizations", {"name": "Acme"})
    made = await api.admin("POST", "/projects", {"organization_id": organization["id"], "name": "Field"})
    assert made["id"].startswith("proj_")
    assert await api.admin("GET", f"/projects/{made['id']}") == made
    assert (await api.admin("GET", f"/projects?organization_id={organization['id']}"))["data"] == [made]
    body = {"organization_id": "org_none", "name": "Field"}
    status, code, _ = await api.refused("POST", "/admin/projects", body, secret=api.settings.admin_token)
    assert (status, code) == (404, "not_found")


async def test_a_keys_secret_is_shown_once_and_kept_as_a_hash(api):
    made = await api.admin("POST", f"/projects/{api.project_id}/api-keys", {"mode": "test", "name": "ci"})
    secret = made.pop("secret")
    assert secret.startswith("sk_test_")
    assert made["hint"] == f"sk_test_…{secret[-4:]}"
    listed = (await api.admin("GET", f"/projects/{api.project_id}/api-keys"))["data"]
    assert made in listed
    assert secret not in str(listed)
    assert secret not in str(api.stores.keys.rows[made["id"]])


async def test_a_key_with_scopes_is_a_restricted_one(api):
    made = await api.admin("POST", f"/projects/{api.project_id}/api-keys", {"scopes": ["recordings:read", "recordings:read"]})
    assert (made["kind"], made["scopes"], made["secret"][:8]) == ("restricted", ["recordings:read"], "rk_live_")


async def test_a_revoked_key_stays_listed_and_revoking_again_changes_nothing(api):
    made = await api.admin("POST", f"/projects/{api.project_id}/api-keys", {})
    path = f"/projects/{api.project_id}/api-keys/{made['id']}"
    await api.admin("DELETE", path)
    (first,) = [key for key in (await api.admin("GET", path.rpartition("/")[0]))["data"] if key["id"] == made["id"]]
    await api.admin("DELETE", path)
    (again,) = [key for key in (await api.admin("GET", path.rpartition("/")[0]))["data"] if key["id"] == made["id"]]
    assert first == again
    assert first["revoked_at"] is not None


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/organizations", {}, "name"),
        ("/organizations", {"name": ""}, "name"),
        ("/projects", {"name": "x"}, "organization_id"),
        ("/projects/{project}/api-keys", {"scopes": []}, "scopes"),
        ("/projects/{project}/api-keys", {"scopes": ["all"]}, "scopes"),
        ("/projects/{project}/api-keys", {"mode": "dry-run"}, "mode"),
    ],
)
async def test_a_wrong_body_is_refused_by_field(api, path, body, param):
    url = "/admin" + path.format(project=api.project_id)
    status, code, error = await api.refused("POST", url, body, secret=api.settings.admin_token)
    assert (status, code, error["param"]) == (400, "invalid_request", param)


async def test_keys_of_projects_that_do_not_exist_do_not_either(api):
    for method, path in (("POST", "/api-keys"), ("GET", "/api-keys"), ("DELETE", "/api-keys/key_x")):
        status, code, _ = await api.refused(method, f"/admin/projects/proj_none{path}", {}, secret=api.settings.admin_token)
        assert (status, code) == (404, "not_found")
