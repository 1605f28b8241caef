"""Reports: one HTML file each, with its plots and pictures inside, readable without a network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any

import cv2
import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from edge.types import Image

BLUE, AMBER, GREEN, GREY = "#2f6690", "#e09f3e", "#5b8e7d", "#9aa5b1"
"""Colours that stay apart for people who do not see them all: first, second, third, background."""

INK, PALE = "#1f2933", "#e4e7eb"

WIDE = 10.4
"""Inches across the page: figures of this width are shown at their own size."""

STYLE = {
    "svg.fonttype": "path",
    "font.size": 9.5,
    "font.family": "sans-serif",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": PALE,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}

CSS = """
:root { color-scheme: light; --ink: #1f2933; --soft: #52606d; --line: #e4e7eb; --accent: #2f6690; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f7fa; color: var(--ink); font: 15px/1.55 system-ui, "Segoe UI", Roboto,
  "Helvetica Neue", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 0 0 4px; }
h3 { font-size: 14px; margin: 22px 0 6px; }
p { margin: 4px 0 12px; max-width: 78ch; }
.lead, .note, figcaption { color: var(--soft); }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 22px 26px 18px;
  margin-top: 20px; }
.warning { background: #fff4d6; border-left: 4px solid #d99a00; padding: 8px 14px; }
.wide { overflow-x: auto; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 22px 0 0; }
dl div { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px; }
dt, dd small { color: var(--soft); font-size: 13px; }
dd { margin: 0; font-size: 24px; line-height: 1.25; font-weight: 600; font-variant-numeric: tabular-nums; }
dd small { display: block; font-weight: 400; }
img.plot { display: block; width: 100%; height: auto; margin: 10px 0 4px; }
table { border-collapse: collapse; width: 100%; margin: 10px 0 8px; font-size: 14px; }
th, td { text-align: left; padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 600; color: var(--soft); font-size: 13px; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td code, li code, p code { font-size: 13px; overflow-wrap: anywhere; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(84px, 1fr)); gap: 10px;
  margin: 6px 0 12px; }
.sheet figure { margin: 0; }
.sheet img { width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 6px; display: block; }
.sheet figcaption { font-size: 12px; line-height: 1.3; padding-top: 3px; text-align: center;
  overflow-wrap: anywhere; }
ul { margin: 6px 0 10px; padding-left: 20px; }
li { margin: 3px 0; }
footer { color: var(--soft); font-size: 13px; margin-top: 24px; }
@media print { body { background: #fff; } section, dl div { break-inside: avoid; } }
"""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(words: str) -> Html:
    """Words as HTML, with what HTML would take for its own escaped."""
    return words if isinstance(words, Html) else Html(escape(words))


def page(title: str, parts: Iterable[str], *, lead: str = "", footer: str = "") -> str:
    """A whole page from parts that are HTML already."""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{text(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{CSS}</style>\n</head>\n<body>\n<main>\n<h1>{text(title)}</h1>\n"
        f'<p class="lead">{text(lead)}</p>\n' + "\n".join(parts) + f"\n<footer>{text(footer)}</footer>\n"
        "</main>\n</body>\n</html>\n"
    )


def section(title: str, *parts: str) -> Html:
    """A heading and what stands under it."""
    return Html(f"<section>\n<h2>{text(title)}</h2>\n" + "\n".join(parts) + "\n</section>")


def heading(words: str) -> Html:
    return Html(f"<h3>{text(words)}</h3>")


def paragraph(words: str, kind: str = "") -> Html:
    """Plain text; `kind`: '', 'note' or 'warning'."""
    return Html(f'<p class="{kind}">{text(words)}</p>' if kind else f"<p>{text(words)}</p>")


def bullets(items: Iterable[str]) -> Html:
    return Html("<ul>" + "".join(f"<li>{text(item)}</li>" for item in items) + "</ul>")


def headlines(items: Iterable[tuple[str, str, str]]) -> Html:
    """The figures that come first: (name, value, remark) each in a box of its own."""
    boxes = (
        f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd><dd><small>{text(remark)}</small></dd></div>"
        for name, value, remark in items
    )
    return Html(f"<dl>{''.join(boxes)}</dl>")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> Html:
    """A table whose first `words` columns hold words, and the others numbers."""

    def line(tag: str, cells: Sequence[str]) -> str:
        marks = ["" if i < words else ' class="number"' for i in range(len(cells))]
        inner = "".join(f"<{tag}{m}>{text(c)}</{tag}>" for m, c in zip(marks, cells, strict=True))
        return f"<tr>{inner}</tr>"

    body = "".join(line("td", row) for row in rows)
    return Html(
        f'<div class="wide"><table><thead>{line("th", head)}</thead><tbody>{body}</tbody></table></div>'
    )


def sheet(pictures: Iterable[tuple[Image, str]]) -> Html:
    """Pictures, uint8 (H, W, 3) RGB, each with a line below it."""
    inner = "".join(
        f'<figure><img alt="" src="{_jpeg(picture)}"><figcaption>{text(caption)}</figcaption></figure>'
        for picture, caption in pictures
    )
    return Html(f'<div class="sheet">{inner}</div>')


@contextmanager
def drawing(height: float, columns: int = 1, **options: Any) -> Iterator[tuple[Figure, Any]]:  # noqa: ANN401
    """A figure of `height` inches across the page, and its axes in a row; `options` as for subplots.

    What is drawn inside the block has the page's style. Nothing is registered anywhere: no window, no memory
    kept after the last reference.
    """
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDE, height))
        FigureCanvasSVG(figure)
        yield figure, figure.subplots(1, columns, **options)


def picture(figure: Figure, description: str) -> Html:
    """A matplotlib figure as SVG within the page; the same figure always gives the same bytes."""
    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "instore"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return Html(f'<img class="plot" alt="{text(description)}" src="{_uri("svg+xml", buffer.getvalue())}">')


def _jpeg(picture: Image) -> str:
    done, content = cv2.imencode(
        ".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85]
    )
    if not done:
        raise ValueError(f"picture: cannot be encoded, {picture.shape}")
    return _uri("jpeg", np.asarray(content).tobytes())


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
