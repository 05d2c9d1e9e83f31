"""Docstrings as readers of the document get them."""

import inspect
import re

_SOURCES = re.compile(r" ?\((?:contract|A\d|section)[^()]*\)")


def told(docstring: str | None) -> str:
    """Return what a docstring tells customers: all but where its author has it from."""
    return _SOURCES.sub("", inspect.cleandoc(docstring or ""))


def first_line(docstring: str | None) -> str:
    """Return the docstring's first line, told."""
    return told(docstring).partition("\n")[0]
