"""Where `upload_security` demands encryption, no plain upload is begun: this API takes no others."""

import asyncio

import pytest

from services.ingest.configuration.upload_policy import UploadPolicy
from services.ingest.refusals import EncryptionRequired
from shared.domain.clock import now
from shared.domain.config.levels import lineage
from shared.domain.errors import TransientFailure
from shared.domain.project import Project
from shared.domain.tenant import Mode, Tenant
from tests.fakes.configs import FakeConfigs, say
from tests.fakes.ingest import FakeProjects

TENANT = Tenant("proj_1")
ORGANIZATION, PROJECT, DEVICE = lineage("org_1", TENANT, device_id="dev_1")
REQUIRED, PREFERRED, ALLOWED = (
    {"encrypted_upload_policy": policy} for policy in ("v2_required", "v2_preferred", "legacy_allowed")
)


class Scene:
    """A policy over fakes, with a clock of its own."""

    def __init__(self):
        self.configs, self.projects, self.time = FakeConfigs(), FakeProjects(), 100.0
        self.policy = UploadPolicy(self.configs, self.projects, 5.0, lambda: self.time)

    async def takes(self, tenant=TENANT, device_id=None):
        try:
            await self.policy(tenant, device_id)
        except EncryptionRequired:
            return False
        return True

    async def say(self, subject, value):
        await say(self.configs, subject, "upload_security", value)
        self.time += 5.0


@pytest.fixture
async def scene():
    scene = Scene()
    await scene.projects.add(Project(id="proj_1", organization_id="org_1", name="Field", created_at=now()))
    return scene


@pytest.mark.parametrize("subject", [ORGANIZATION, PROJECT])
async def test_what_is_demanded_above_holds_for_every_device_whatever_it_says(scene, subject):
    assert await scene.takes()
    await scene.say(DEVICE, ALLOWED)
    await scene.say(subject, REQUIRED)
    assert [await scene.takes(device_id=device_id) for device_id in (None, "dev_1", "dev_2")] == [False] * 3


async def test_what_is_demanded_of_a_device_holds_for_it_alone(scene):
    await scene.say(PROJECT, PREFERRED)
    await scene.say(DEVICE, REQUIRED)
    assert [await scene.takes(device_id=device_id) for device_id in (None, "dev_1", "dev_2")] == [True, False, True]
    assert await scene.takes(Tenant("proj_1", Mode.TEST), "dev_1")


async def test_a_change_is_felt_within_the_time(scene):
    assert await scene.takes()
    await say(scene.configs, PROJECT, "upload_security", REQUIRED)
    assert await scene.takes()
    scene.time += 5.0
    assert not await scene.takes()
    await scene.say(PROJECT, None)
    assert await scene.takes()


async def test_who_comes_while_it_is_read_anew_goes_by_what_was_known(scene):
    assert await scene.takes()
    await scene.say(PROJECT, REQUIRED)
    first = asyncio.create_task(scene.takes())
    scene.configs.reading = asyncio.Event()
    await asyncio.sleep(0)
    assert await scene.takes()
    scene.configs.reading.set()
    assert not await first
    assert not await scene.takes()


async def test_an_outage_is_told_and_nothing_is_believed_after_it(scene):
    assert await scene.takes()
    await scene.say(PROJECT, REQUIRED)
    scene.configs.down = True
    with pytest.raises(TransientFailure):
        await scene.takes()
    scene.configs.down = False
    assert not await scene.takes()


async def test_the_api_refuses_to_open_a_recording_and_says_why(api):
    path = f"/projects/{api.project_id}/config/upload_security"
    await api.ok("PUT", path, REQUIRED)
    user = await api.ok("POST", "/end-users", {})
    answer = await api.refused("POST", "/recordings", {"end_user_id": user["id"]})
    assert answer[:2] == (403, "encrypted_upload_required")
