"""How often the interpreter looks for garbage that holds itself: by default a service spends a seventh of its time on it."""

import gc

_NEW_OBJECTS = 20_000  # so many more made than freed, and the youngest are looked through; by default 700
_YOUNG_ROUNDS = 20
_MIDDLE_ROUNDS = 50


def settle() -> None:
    """Pass over, from now on, what is there for good (modules, clients, routes), and look through the rest less often.

    Memory is given back without it but for cycles: of those, some thousand small objects more may wait at any time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, _YOUNG_ROUNDS, _MIDDLE_ROUNDS)
