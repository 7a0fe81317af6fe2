"""Plain-text tables and text that cannot control a terminal."""

from collections.abc import Sequence


def grid(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with headings, one line per row."""
    from tabulate import tabulate

    cells = [[plain(cell) for cell in row] for row in rows]
    return str(tabulate(cells, headers=headers, disable_numparse=True)) + "\n"


def name_value_lines(pairs: Sequence[tuple[str, str]]) -> str:
    """Return one line per pair, with the values aligned in a column."""
    from tabulate import tabulate

    cells = [(name, plain(value)) for name, value in pairs]
    return str(tabulate(cells, tablefmt="plain", disable_numparse=True)) + "\n"


def plain(text: str) -> str:
    """Replace every character that is not printable with "?", so that stored text cannot control the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
