"""The client is built of what the settings say, without a server; what it refuses is named and not repeated."""

import pytest

from shared.settings import MongoSettings, SettingsError
from shared.storage.mongo import Mongo


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://user:hunter%zz2@127.0.0.1",
        "mongodb://127.0.0.1:99999",
        "mongodb://127.0.0.1,",
        "mongodb+srv://cluster.example.net:27017",
        "mongodb://127.0.0.1/?tlsCAFile=/hunter2",
        "mongodb://127.0.0.1/?datetime_conversion=hunter2",
    ],
)
def test_an_address_that_the_driver_does_not_take_is_a_wrong_setting(url):
    with pytest.raises(SettingsError, match="EARWITNESS_MONGO_URL is not taken by the driver") as caught:
        Mongo(MongoSettings(mongo_url=url))
    assert "hunter" not in str(caught.value)
    assert caught.value.__suppress_context__
