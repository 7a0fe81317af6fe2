"""Write the YAML block at the top of a card for the Hugging Face hub.

This module does not use the hub's library: it puts every text in double quotes, so that none is read as a number, a
date or markup, and the same facts give the same bytes with any version of a library.
Source: YAML 1.2, section 5.7 (escapes) and 7.3.1 (double-quoted); YAML 1.1 reads the result too.
"""

from collections.abc import Iterator, Mapping, Sequence

Fact = str | int | float | Sequence["Fact"] | Mapping[str, "Fact"]
_BYTE, _SHORT = 0xFF, 0xFFFF  # the last characters that two and four hexadecimal digits can express


def front_matter(facts: Mapping[str, Fact]) -> str:
    """Write *facts* between two lines of three dashes. Keys must be plain words, which need no quotes."""
    return "\n".join(["---", *_lines(facts), "---", ""])


def _lines(fact: Fact) -> Iterator[str]:
    """Yield the lines of a mapping or a list, without the indentation of the level above."""
    if isinstance(fact, Mapping):
        for key, value in fact.items():
            if _is_plain(value):
                yield f"{key}: {_plain(value)}"
            else:
                yield f"{key}:"
                yield from (f"  {line}" for line in _lines(value))
    elif not isinstance(fact, str | int | float):
        for value in fact:
            first, *others = [_plain(value)] if _is_plain(value) else _lines(value)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)


def _is_plain(fact: Fact) -> bool:
    return isinstance(fact, str | int | float) or not fact


def _plain(fact: Fact) -> str:
    if isinstance(fact, str):
        return f'"{"".join(map(_escaped, fact))}"'
    if isinstance(fact, int | float):
        written = repr(fact)
        return written if "." in written or "e" not in written else written.replace("e", ".0e")  # YAML 1.1 wants both
    return "{}" if isinstance(fact, Mapping) else "[]"


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02X}" if code <= _BYTE else f"\\u{code:04X}" if code <= _SHORT else f"\\U{code:08X}"
