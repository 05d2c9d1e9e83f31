"""Projects' keys for speech providers in MongoDB: sealed there, and each tenant's own; one suite over the fake, too."""

import pytest

from shared.domain.tenant import Mode, Tenant
from shared.domain.transcription import ProviderName
from shared.sealing import KeyNotGiven
from shared.storage.provider_keys import ProviderKeys
from tests.fakes.provider_keys import FakeProviderKeys
from tests.fakes.sealing import OTHER_SEALING_KEY, a_sealing

SECRET = "dg-0123456789abcdefABCD"
LIVE, TEST, OTHER = Tenant("proj_1"), Tenant("proj_1", Mode.TEST), Tenant("proj_2")


@pytest.fixture(params=["real", "fake"])
async def keys(request, mongo):
    if request.param == "fake":
        return FakeProviderKeys()
    real = ProviderKeys(mongo, a_sealing())
    await real.ensure_indexes()
    return real


async def test_a_key_is_kept_replaced_listed_and_forgotten_by_tenant(keys):
    first = await keys.put(LIVE, ProviderName.DEEPGRAM, SECRET)
    second = await keys.put(LIVE, ProviderName.DEEPGRAM, SECRET + "Z")
    assert (first.hint, second.hint, second.created_at) == ("…ABCD", "…BCDZ", first.created_at)
    await keys.put(LIVE, ProviderName.ASSEMBLYAI, "short")
    assert [row.provider for row in await keys.of_tenant(LIVE)] == [ProviderName.ASSEMBLYAI, ProviderName.DEEPGRAM]
    assert await keys.of_tenant(TEST) == await keys.of_tenant(OTHER) == []
    assert [await keys.remove(tenant, ProviderName.DEEPGRAM) for tenant in (OTHER, TEST, LIVE, LIVE)] == [
        False,
        False,
        True,
        False,
    ]


async def test_the_secret_opens_only_under_the_installations_key_and_never_stands_in_the_database(mongo):
    keys = ProviderKeys(mongo, a_sealing())
    await keys.put(LIVE, ProviderName.DEEPGRAM, SECRET)
    assert await keys.secret(LIVE, ProviderName.DEEPGRAM) == SECRET
    assert await keys.secret(TEST, ProviderName.DEEPGRAM) is None
    raw = await mongo.database["provider_keys"].find_one({})
    assert SECRET not in str(raw)
    assert raw["sealed"].startswith("sealed1:")
    with pytest.raises(KeyNotGiven):
        await ProviderKeys(mongo, a_sealing(OTHER_SEALING_KEY)).secret(LIVE, ProviderName.DEEPGRAM)
