"""HTML by hand: escaped text, sortable tables, pictures as data."""
import base64
import html
import math
from pathlib import Path

import numpy as np

escaped = html.escape


def is_number(value):
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def number_text(value):
    """What a reader sees of a number; the table sorts by the number itself."""
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    if not math.isfinite(value):
        return ""
    if value and abs(value) < 0.01:
        return f"{value:.1e}"
    return f"{value:,.2f}" if abs(value) < 1000 else f"{value:,.0f}"


def cell(value, numeric):
    if is_number(value):
        if isinstance(value, float) and not math.isfinite(value):
            return '<td class="number"></td>'
        return f'<td class="number" data-value="{value:.9g}">{number_text(value).replace("-", "−")}</td>'
    text = "" if value is None else str(value)
    kind = ' class="number"' if numeric else ' class="long"' if len(text) > 60 else ""
    return f"<td{kind}>{escaped(text)}</td>"


def table(name, columns, rows):
    """A table that sorts by a click on a column's title. columns: their titles; rows: lists of as many values."""
    rows = [list(row) for row in rows]
    numeric = [bool(rows) and any(is_number(row[k]) for row in rows) for k in range(len(columns))]
    head = "".join(f'<th{" class=" + chr(34) + "number" + chr(34) if n else ""}><button type="button">{escaped(c)}</button></th>'
                   for c, n in zip(columns, numeric))
    body = "\n".join("<tr>" + "".join(cell(v, n) for v, n in zip(row, numeric)) + "</tr>" for row in rows)
    return (f'<div class="wide"><table id="{escaped(name)}"><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>\n')


def picture(path, caption):
    """The picture of a file as part of the page."""
    kind = {".png": "image/png", ".svg": "image/svg+xml"}[Path(path).suffix]
    data = base64.b64encode(Path(path).read_bytes()).decode()
    return (f'<figure><img alt="{escaped(caption)}" src="data:{kind};base64,{data}">'
            f"<figcaption>{escaped(caption)}</figcaption></figure>\n")


def section(name, title, *parts):
    return f'<section id="{escaped(name)}"><h2>{escaped(title)}</h2>\n{"".join(parts)}</section>\n'


def note(text):
    return f'<p class="note">{escaped(text)}</p>\n'


def page(title, style, script, body):
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escaped(title)}</title>
<style>
{style}</style>
</head>
<body>
{body}<script>
{script}</script>
</body>
</html>
"""
