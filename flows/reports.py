"""Rows of the Markdown tables that flows report in."""


def table_row(*cells: str) -> str:
    """A row of a Markdown table; the name of a file in a cell need not be valid UTF-8."""
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    readable = text.encode(errors="backslashreplace").decode()
    return " ".join(readable.split()).replace("|", "\\|")
