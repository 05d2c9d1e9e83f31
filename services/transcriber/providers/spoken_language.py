"""Which language a recording is in, when nobody said."""


class SpokenLanguage:
    """The given language, or the one detected in the first piece that leaves no doubt, kept from then on.

    While none is sure, each piece is taken in its own most likely language, and the whole in that of the most speech.
    """

    SURE = 0.5

    def __init__(self, given: str | None) -> None:
        self.given = self.known = given
        self._speech_s: dict[str, float] = {}

    def heard(self, language: str, probability: float, speech_s: float) -> None:
        """Note what was detected in a piece with `speech_s` seconds of speech."""
        if self.known is None:
            self._speech_s[language] = self._speech_s.get(language, 0.0) + probability * speech_s
            if probability >= self.SURE:
                self.known = language

    def decided(self) -> str | None:
        """The recording's language; none when nobody spoke and none was given."""
        return self.known or max(self._speech_s, key=self._speech_s.__getitem__, default=None)
