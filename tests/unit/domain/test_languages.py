"""Language codes per provider."""

import pytest

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
