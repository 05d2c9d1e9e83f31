"""Which words are profane. English only: elsewhere a list would hit innocent words as often as it missed others."""

import re

_FORMS = (
    r"(?:mother|cluster|mind)?-?fuck\w*",
    r"(?:bull|horse|dip|chicken|bat)?-?shit(?:s|ty|ted|ting|ter|tier|head|heads|hole|holes|show|shows|storm|less|load|loads)?",
    r"(?:god-?)?damn(?:ed|it|s)?",
    r"(?:ass|arse)(?:hole|holes|wipe|wipes|hat|hats)",
    r"(?:dumb|jack|bad|smart|fat)-?ass(?:es)?",
    r"(?:son-of-a-)?bitch(?:es|y|ing|ed)?",
    r"bastards?",
    r"cunts?",
    r"cocksuck\w*",
    r"dick(?:head|heads|wad)",
    r"wank(?:er|ers|ing|s)?",
    r"twats?",
    r"bollocks",
    r"piss(?:ed|ing|es|er)?",
    r"crap(?:py|s)?",
    r"sluts?|whores?",
    r"nigg(?:er|ers|a|as|az)",
    r"fag(?:got|gots|s)?",
)
_PROFANE = re.compile("|".join(f"(?:{form})" for form in _FORMS), re.IGNORECASE)


def is_profane(word: str) -> bool:
    """Whether the word, without its punctuation, is profane."""
    return _PROFANE.fullmatch(word) is not None
