"""Markdown of small things: tables, headings with an anchor, code."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown, in which a vertical bar is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def heading(level: int, name: str, anchor: str = "") -> str:
    """A heading in code style, with an anchor that is the name itself unless another is given."""
    return f"{'#' * level} `{name}` {{ #{anchor or name} }}"


def fence(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def sentence(text: str) -> str:
    """A description as a sentence: with a capital letter and a full stop."""
    text = text.strip()
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
