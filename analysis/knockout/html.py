"""The small tables that notebooks show."""
from __future__ import annotations

import html
from typing import Any, List, Sequence, Tuple

MOST_LETTERS = 160


def shortened(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS - 1].rstrip() + "…"


def cell(value: Any) -> str:
    if isinstance(value, int):
        return f'<td style="text-align:right">{value:,}</td>'
    return f'<td style="text-align:left">{html.escape(shortened(str(value)))}</td>'


def rows_of(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{html.escape(c)}</th>" for c in columns)
    body = "".join("<tr>" + "".join(map(cell, row)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def page(title: str, facts: Sequence[Tuple[str, str]], table: str, notes: Sequence[str] = ()) -> str:
    """A title, facts one below the other, a table, and notes."""
    lines: List[str] = [f"<tr><th style=\"text-align:left\">{html.escape(name)}</th>{cell(value)}</tr>" for name, value in facts if value]
    said = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return f"<div><b>{html.escape(title)}</b><table><tbody>{''.join(lines)}</tbody></table>{table}{said}</div>"
