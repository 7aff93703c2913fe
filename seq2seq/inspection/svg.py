"""A small canvas for diagrams: boxes, circles, arrows and text as SVG, for light and dark mode."""

import html
from base64 import b64encode
from collections.abc import Sequence
from typing import Literal

Kind = Literal["plain", "gate", "state", "quiet"]
"""Gates are blue and states orange: colours that differ for the colour-blind too, and in grey."""

_STYLE = """
svg { --ink: #1a1a1a; --paper: #ffffff; --plain: #f1f1ee; --quiet: #6b6b6b;
      --gate: #bfdcf2; --gate-edge: #00568a; --state: #fbd9b5; --state-edge: #a34400 }
@media (prefers-color-scheme: dark) {
  svg { --ink: #f2f2f2; --paper: #16181c; --plain: #2b2e34; --quiet: #a9adb5;
        --gate: #0e3b59; --gate-edge: #7cc4f2; --state: #5a3210; --state-edge: #ffb266 } }
.paper { fill: var(--paper) }
text { font: 16px sans-serif; fill: var(--ink); text-anchor: middle; dominant-baseline: central }
.small { font-size: 15px } .title { font-size: 20px; font-weight: bold }
.start { text-anchor: start } .is-quiet { fill: var(--quiet) }
.shape { fill: var(--plain); stroke: var(--ink); stroke-width: 1.5 }
.shape.gate { fill: var(--gate); stroke: var(--gate-edge) }
.shape.state { fill: var(--state); stroke: var(--state-edge) }
.shape.quiet { fill: none; stroke: var(--quiet); stroke-dasharray: 5 4 }
.line { fill: none; stroke: var(--ink); stroke-width: 1.8; marker-end: url(#arrow) }
.line.gate { stroke: var(--gate-edge) } .line.state { stroke: var(--state-edge); stroke-width: 3 }
.line.quiet { stroke: var(--quiet); stroke-dasharray: 6 4 } .bare { marker-end: none }
#arrow path { fill: context-stroke }
"""


def image_tag(svg: str, description: str) -> str:
    """Return SVG as an HTML `<img>` with `description` as its alternative text.

    Notebooks use it because several SVG files inlined in one page would share styles and ids.
    """
    data = b64encode(svg.encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{data}" alt="{html.escape(description)}" '
        'style="max-width:100%">'
    )


class Canvas:
    """A drawing, to which shapes are added one by one; x runs right and y down, in pixels."""

    def __init__(self, width: int, height: int, title: str, description: str) -> None:
        self.width, self.height = width, height
        self.title, self.description = title, description
        self._parts: list[str] = []

    def box(
        self, x: float, y: float, width: float, height: float, lines: str, kind: Kind = "plain"
    ) -> None:
        """Draw a box with its centre at (x, y), and lines of text in it."""
        self._parts.append(
            f'<rect class="shape {kind}" x="{x - width / 2:g}" y="{y - height / 2:g}" '
            f'width="{width:g}" height="{height:g}" rx="6"/>'
        )
        self.text(x, y, lines)

    def circle(self, x: float, y: float, sign: str, kind: Kind = "plain") -> None:
        """Draw a circle with its centre at (x, y), and the sign of an operation in it."""
        self._parts.append(f'<circle class="shape {kind}" cx="{x:g}" cy="{y:g}" r="15"/>')
        self.text(x, y, sign)

    def arrow(
        self, *points: tuple[float, float], kind: Kind = "plain", has_head: bool = True
    ) -> None:
        """Draw an arrow through the points, or a line without a head."""
        bare = "" if has_head else " bare"
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._parts.append(f'<polyline class="line {kind}{bare}" points="{path}"/>')

    def text(self, x: float, y: float, lines: str, style: str = "") -> None:
        """Write lines of text centred at (x, y).

        `style` is "", "small", "title", "is-quiet", or "start", for text that starts at x.
        """
        rows: Sequence[str] = lines.split("\n")
        for number, row in enumerate(rows):
            at = y + 19 * (number - (len(rows) - 1) / 2)
            self._parts.append(
                f'<text class="{style}" x="{x:g}" y="{at:g}">{html.escape(row)}</text>'
            )

    def svg(self) -> str:
        """Return the SVG file; screen readers read its title and description aloud."""
        body = "\n".join(self._parts)
        title, description = html.escape(self.title), html.escape(self.description)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" '
            f'aria-labelledby="title description">\n<title id="title">{title}</title>\n'
            f'<desc id="description">{description}</desc>\n<style>{_STYLE}</style>\n'
            '<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="11" '
            'markerHeight="11" markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
            '<path d="M0 0L10 5L0 10z"/></marker></defs>\n'
            f'<rect class="paper" width="{self.width}" height="{self.height}"/>\n{body}\n</svg>\n'
        )

    def _repr_svg_(self) -> str:
        """Return what a notebook shows for the diagram."""
        return self.svg()

    def _repr_html_(self) -> str:
        """Return the same for notebooks that prefer HTML."""
        return image_tag(self.svg(), self.description)
