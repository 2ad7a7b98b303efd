"""Charts as inline SVG: bars whose numbers stand beside them, so that nothing is told by colour alone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

LABEL = 20
WIDTH, ROW, LEFT, RIGHT = 400, 24, 150, 52


def bars(title: str, rows: Sequence[tuple[str, Sequence[tuple[str, float]], str]]) -> str:
    """A bar a row: (label, parts as (css class, size), text at its end); sizes share a scale, the title is read out."""
    longest = max((sum(size for _, size in parts) for _, parts, _ in rows), default=0) or 1
    scale = (WIDTH - LEFT - RIGHT) / longest
    drawn = [_row(at, label, parts, text, scale) for at, (label, parts, text) in enumerate(rows)]
    height = max(len(rows), 1) * ROW + 4
    told = "; ".join(f"{label}: {text}" for label, _, text in rows)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(f"{title}. {told}")}">'
        f"<title>{escape(title)}</title>{''.join(drawn)}</svg>"
    )


def _row(at: int, label: str, parts: Sequence[tuple[str, float]], text: str, scale: float) -> str:
    top, left, drawn = at * ROW + 4, float(LEFT), []
    for kind, size in parts:
        width = size * scale
        drawn.append(
            f'<rect class="{kind}" x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW - 8}" rx="2"></rect>'
        )
        left += width
    name = label if len(label) <= LABEL else label[: LABEL - 1] + "…"
    # isolates keep a right-to-left name from moving what stands around it
    shown = f"\u2068{escape(name)}\u2069"
    middle = top + ROW - 13
    drawn.append(f'<text class="axis" x="{LEFT - 8}" y="{middle}" text-anchor="end" direction="ltr">{shown}</text>')
    drawn.append(f'<text x="{left + 6:.1f}" y="{middle}">{escape(text)}</text>')
    return "".join(drawn)
