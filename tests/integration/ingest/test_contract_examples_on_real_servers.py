"""The contract's examples, played as they are printed, on real servers."""

import pytest

from tests.replaying import FILES, Player, examples_of


@pytest.fixture
async def api(deployment):
    """One replica, where tests of endpoints wait for nobody."""
    async with deployment.replica(webhooks_test_wait_s=0) as client:
        yield await client.open()


@pytest.mark.parametrize("name", FILES)
async def test_what_the_contract_prints_is_taken_and_answered_so(api, name):
    player = await Player(api).open()
    for example in examples_of(name):
        if "meanwhile" not in example:  # those follow the work of another service: over fakes, and in e2e
            await player.play(example)
