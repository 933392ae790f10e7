"""Rows of the Markdown tables that flows report in."""

from unmask.errors import readable


def table_row(*cells: str) -> str:
    """A row of a Markdown table; the name of a file in a cell need not be valid UTF-8."""
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return " ".join(readable(text).split()).replace("|", "\\|")
