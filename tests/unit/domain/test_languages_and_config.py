"""Language codes per provider, and how levels of configuration combine."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.config import SECTIONS, merged
from shared.domain.languages import LANGUAGES
from shared.domain.transcription import ProviderName


@pytest.mark.parametrize(
    ("provider", "given_code", "taken"),
    [
        (ProviderName.WHISPER, "en", "en"),
        (ProviderName.WHISPER, "en-US", "en"),
        (ProviderName.WHISPER, "pt_BR", "pt"),
        (ProviderName.WHISPER, "EN", "en"),
        (ProviderName.WHISPER, "eng", None),
        (ProviderName.WHISPER, "", None),
        (ProviderName.DEEPGRAM, "en-us", "en-US"),
        (ProviderName.DEEPGRAM, "es-419", "es-419"),
        (ProviderName.DEEPGRAM, "en_US", "en-US"),
        (ProviderName.DEEPGRAM, "de-AT", None),
        (ProviderName.ASSEMBLYAI, "en-US", "en_us"),
        (ProviderName.ASSEMBLYAI, "sv", None),
        (ProviderName.ELEVENLABS, "deu", "deu"),
        (ProviderName.ELEVENLABS, "de", "de"),
        (ProviderName.ELEVENLABS, "xx", None),
    ],
)
def test_a_code_is_brought_into_the_providers_form(provider, given_code, taken):
    assert LANGUAGES[provider].accept(given_code) == taken


@pytest.mark.parametrize(("provider", "count"), list(zip(ProviderName, (99, 49, 20, 125), strict=True)))
def test_every_provider_lists_its_languages(provider, count):
    assert len(LANGUAGES[provider].codes) == count
    assert all(LANGUAGES[provider].accept(code) == code for code in LANGUAGES[provider].codes)


OBJECTS = st.recursive(
    st.dictionaries(st.sampled_from("abc"), st.integers() | st.none()),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner | st.integers(), max_size=3),
)


@given(OBJECTS, OBJECTS)
def test_an_override_wins_where_it_speaks_and_nowhere_else(general, specific):
    result = merged(general, specific)
    assert set(result) == set(general) | set(specific)
    for key in result:
        if key not in specific:
            assert result[key] == general[key]
        elif isinstance(specific[key], dict) and isinstance(general.get(key), dict):
            assert result[key] == merged(general[key], specific[key])
        else:
            assert result[key] == specific[key]


@given(OBJECTS)
def test_an_override_of_nothing_changes_nothing_and_twice_is_once(value):
    assert merged(value, {}) == value
    assert merged(value, value) == value


@pytest.mark.parametrize("section", list(SECTIONS.values()), ids=lambda section: section.name)
def test_the_defaults_of_a_section_are_valid(section):
    assert msgspec.convert(section.defaults, section.form) == section.form()
