"""The curve of the frontier: time and gap against size, as a picture for the docs and as a page to look into."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.frontier_rows import Answer, Row

NAMES = {
    "QRE": "sgamesolver QRE",
    "LogTracing": "sgamesolver LogTracing",
    "homotopy": "equinfer, path alone",
    "auto": "equinfer",
}
"""In the order in which they are drawn: the last one lies on top."""
COLOURS = {"auto": "#0072B2", "homotopy": "#009E73", "QRE": "#D55E00", "LogTracing": "#8f6a00"}
"""Told apart by the colour-blind too (after Okabe and Ito), and by their marks."""
MARKS = {"auto": "o", "homotopy": "s", "QRE": "^", "LogTracing": "D"}
WIDTHS = {"auto": 4.5, "homotopy": 7, "QRE": 6, "LogTracing": 6}
SYMBOLS = {"o": "circle", "s": "square", "^": "triangle-up", "D": "diamond"}
ZERO = 1e-17
"""Where a gap of nothing is drawn."""
SIZE = "size, N·S·(A + 1)"
TIME = "CPU time, s"
GAP = "exact Nash gap, units of reward"

Found = Mapping[str, Mapping[str, Sequence[Answer]]]


class Series(NamedTuple):
    """What one method did on one kind of game; one entry per row that it finished."""

    method: str
    kind: str
    names: list[str]
    sizes: list[int]
    times: list[float]
    longest: list[float]
    gaps: list[float]
    worst: list[float]
    late: list[int]
    """Sizes at which it ran out of time."""

    @property
    def label(self) -> str:
        return NAMES[self.method] + (", quality ladders" if self.kind == "ladder" else "")

    @property
    def fill(self) -> str:
        return "white" if self.kind == "ladder" else COLOURS[self.method]


def curves(rows: Sequence[Row], found: Found) -> list[Series]:
    """Medians and extremes; nothing where nothing was tried."""
    series = []
    for kind in ("random", "ladder"):
        for method in NAMES:
            one = Series(method, kind, [], [], [], [], [], [], [])
            for row in sorted(rows, key=lambda row: row.unknowns):
                answers = found[row.name].get(method)
                if row.kind == kind and answers:
                    _add(one, row, answers)
            if one.sizes or one.late:
                series.append(one)
    return series


def _add(series: Series, row: Row, answers: Sequence[Answer]) -> None:
    times, gaps = [answer.seconds for answer in answers], [max(answer.gap, ZERO) for answer in answers]
    middle = statistics.median(times)
    if not math.isfinite(middle):
        series.late.append(row.unknowns)
        return
    series.names.append(row.name)
    series.sizes.append(row.unknowns)
    series.times.append(middle)
    series.longest.append(max(time for time in times if math.isfinite(time)))
    series.gaps.append(statistics.median(gaps))
    series.worst.append(max(gaps))


def draw(rows: Sequence[Row], found: Found, limit: float, path: Path) -> None:
    """An SVG of two panels, by matplotlib."""
    import matplotlib  # pyright: ignore[reportMissingImports]

    matplotlib.use("svg")
    from matplotlib import pyplot as plt  # pyright: ignore[reportMissingImports]

    settings: dict[Any, Any] = {
        "font.size": 10,
        "svg.hashsalt": "frontier",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with plt.rc_context(settings):
        picture, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.9))
        for axes, height in ((left, TIME), (right, GAP)):
            axes.set(xscale="log", yscale="log", xlabel=SIZE, ylabel=height)
            axes.grid(color="#e6e9ee", linewidth=0.8)
            axes.set_axisbelow(True)
        for one in curves(rows, found):
            colour, mark = COLOURS[one.method], MARKS[one.method]
            style = {
                "color": colour,
                "marker": mark,
                "markerfacecolor": one.fill,
                "linestyle": "none",
                "markersize": WIDTHS[one.method],
            }
            left.vlines(one.sizes, one.times, one.longest, color=colour, linewidth=1)
            right.vlines(one.sizes, one.gaps, one.worst, color=colour, linewidth=1)
            left.plot(one.sizes, one.times, label=one.label, **style)
            right.plot(one.sizes, one.gaps, **style)
            left.plot(one.late, [limit] * len(one.late), **style, alpha=0.45)
        left.axhline(limit, color="#67707e", linewidth=0.8, linestyle=":")
        left.annotate(
            f"out of time: {limit:g} s", (1, limit), xycoords=("axes fraction", "data"), ha="right", va="bottom"
        )
        right.axhline(1e-10, color="#67707e", linewidth=0.8, linestyle=":")
        right.annotate("solved", (1, 1e-10), xycoords=("axes fraction", "data"), ha="right", va="bottom")
        right.set_ylim(ZERO / 3, max(1.0, 2 * right.get_ylim()[1]))
        powers = range(-16, 1, 4)
        right.set_yticks([ZERO, *(10.0**power for power in powers)], ["0", *(f"$10^{{{power}}}$" for power in powers)])
        right.minorticks_off()
        picture.legend(loc="upper center", ncols=3, frameon=False)
        picture.tight_layout(rect=(0, 0, 1, 0.88))
        picture.savefig(path, metadata={"Date": None})
        plt.close(picture)


def write_page(rows: Sequence[Row], found: Found, limit: float, path: Path) -> None:
    """The same as a page that stands alone, by plotly: a point says which game it is."""
    from plotly import graph_objects as go
    from plotly.subplots import make_subplots

    from equinfer.report.theme import dress

    page = make_subplots(cols=2)
    for one in curves(rows, found):
        symbol = SYMBOLS[MARKS[one.method]] + ("-open" if one.kind == "ladder" else "")
        marker = {"color": COLOURS[one.method], "symbol": symbol, "size": 1.5 * WIDTHS[one.method]}
        style: dict[str, Any] = {"mode": "markers", "legendgroup": one.label, "name": one.label, "marker": marker}
        for column, middle, worst in ((1, one.times, one.longest), (2, one.gaps, one.worst)):
            spread = {"array": [b - a for a, b in zip(middle, worst, strict=True)], "symmetric": False, "thickness": 1}
            page.add_trace(
                go.Scatter(x=one.sizes, y=middle, text=one.names, error_y=spread, showlegend=column == 1, **style),
                row=1,
                col=column,
            )
        late = [f"more than {limit:g} s"] * len(one.late)
        page.add_trace(
            go.Scatter(x=one.late, y=[limit] * len(late), text=late, opacity=0.45, showlegend=False, **style),
            row=1,
            col=1,
        )
    page.update_xaxes(type="log", title=SIZE, dtick=1)
    page.update_yaxes(type="log", exponentformat="power")
    page.update_yaxes(dtick=1, col=1)
    page.update_yaxes(title=TIME, col=1)
    page.update_yaxes(title=GAP, col=2)
    dress(page, height=560, title="Time and gap against size: medians, and up to the worst")
    page.update_layout(margin={"t": 150})
    page.write_html(path, include_plotlyjs=True)
