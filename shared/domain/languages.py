"""Which languages each provider takes, and in which form of code (contract A15 and 9.5)."""

from collections.abc import Callable, Mapping

import msgspec

from shared.domain.transcription import ProviderName


def _codes(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_WHISPER = _codes(
    """
    af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id is
    it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd si sk sl
    sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo zh
    """
)

_DEEPGRAM = _codes(
    """
    en en-US en-GB en-AU en-IN en-NZ zh zh-CN zh-TW es es-419 es-ES fr fr-CA pt pt-BR pt-PT de it nl ja ko ru hi tr pl
    uk sv no da fi id ms th vi cs ro hu el bg hr sk ta te kn ml bn gu mr
    """
)

_ASSEMBLYAI = _codes(
    """
    en en_us en_gb en_au es fr de it pt nl ja ko zh hi tr ru pl uk vi fi
    """
)

_ELEVENLABS = _codes(
    """
    afr amh ara asm aze bak bel bul ben bod bre bos cat ces cym dan deu ell eng spa est eus fas fin fao fra glg guj hau
    haw heb hin hrv hat hun hye ind isl ita jpn jav kat kaz khm kan kor lat ltz lin lao lit lav mlg mri mkd mal mon mar
    msa mlt mya nep nld nno nor oci pan pol pus por ron rus san snd sin slk slv sna som sqi srp sun swe swa tam tel tgk
    tha tuk tgl tur tat ukr urd uzb vie yid yor zho en it zh id de hi es fi ru vi ko he fr uk ja el pt th tr ar pl cs nl
    da sv hu
    """
)


class Languages(msgspec.Struct, frozen=True):
    """The codes of one provider, `form` in words for people, and how a client's code is brought into that form."""

    codes: frozenset[str]
    form: str
    normalized: Callable[[str], str]

    def accept(self, code: str) -> str | None:
        """Return the code as the provider takes it, None when it does not."""
        wanted = self.normalized(code)
        return wanted if wanted in self.codes else None


def base_language(code: str) -> str:
    """Return `en` for `en-US` or `en_us`: the language without its region."""
    return code.replace("_", "-").partition("-")[0].lower()


def _with_hyphen(code: str) -> str:
    base, _, region = code.replace("_", "-").partition("-")
    return f"{base.lower()}-{region.upper()}" if region else base.lower()


def _with_underscore(code: str) -> str:
    return code.replace("-", "_").lower()


LANGUAGES: Mapping[ProviderName, Languages] = {
    ProviderName.WHISPER: Languages(_WHISPER, "an ISO 639-1 code such as en or de; a region is passed over", base_language),
    ProviderName.DEEPGRAM: Languages(_DEEPGRAM, "a BCP-47 code such as en or en-US", _with_hyphen),
    ProviderName.ASSEMBLYAI: Languages(
        _ASSEMBLYAI, "an ISO 639-1 code such as en, or one with a region such as en_us", _with_underscore
    ),
    ProviderName.ELEVENLABS: Languages(
        _ELEVENLABS, "an ISO 639-3 code such as eng, or an ISO 639-1 code such as en", base_language
    ),
}
"""Every provider's languages."""
