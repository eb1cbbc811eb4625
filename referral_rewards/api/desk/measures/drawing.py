"""Draws charts as SVG in a page, in the colours of the desk's style sheet: for light, dark and paper alike."""

import math
import sys
from datetime import date
from typing import Final
from xml.etree import ElementTree

import pygal
from markupsafe import Markup
from pygal.style import Style

from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.money import exponent
from referral_rewards.register.measures.sums import Step
from referral_rewards.reporting.measures.charts import Chart

# pygal joins every later import, to find maps as plug-ins, by an interface that Python has given up.
sys.meta_path[:] = [each for each in sys.meta_path if type(each).__module__ != pygal.__name__]

_SVG: Final = "{http://www.w3.org/2000/svg}"
_WIDTH, _HEIGHT = 720, 260
_FEW: Final = 6
#: So many names fit below a chart.
_LABELS_MAX: Final = 7
#: The style sheet has the colours; pygal measures texts by these.
_STYLE: Final = Style(font_family="sans-serif", label_font_size=12, legend_font_size=13, major_label_font_size=12)


def drawn(chart: Chart, step: Step) -> Markup:
    """Return a chart as an SVG element with a name of its own. The page has its numbers as a table, too."""
    scale = 10 ** exponent(chart.currency) if chart.currency else 1
    line = pygal.Line(
        style=_STYLE,
        width=_WIDTH,
        height=_HEIGHT,
        js=[],
        css=[],
        legend_at_bottom=True,
        legend_at_bottom_columns=len(chart.lines),
        show_minor_x_labels=False,
        truncate_label=-1,
        dots_size=3,
        include_x_axis=True,
        min_scale=2,
        max_scale=6,
        value_formatter=lambda value: f"{value:,.0f}",
    )
    line.x_labels = [named(each, step) for each in chart.steps]
    line.x_labels_major = line.x_labels[:: -(-len(chart.steps) // _LABELS_MAX)]
    most = max((value for values in chart.lines.values() for value in values), default=0) / scale
    if most <= _FEW:
        # Between few values pygal marks fractions, which read as the same number twice.
        line.y_labels = list(range(max(math.ceil(most), 1) + 1))
    for name, values in chart.lines.items():
        line.add(name, [value / scale for value in values])
    tree = line.render_tree()
    for parent in list(tree.iter()):
        parent.attrib.pop("style", None)
        for child in list(parent):
            # What pygal would style, script, date and tell in English of its own.
            if not isinstance(child.tag, str) or child.tag.removeprefix(_SVG) in ("style", "script", "desc"):
                parent.remove(child)
    in_words = f"{chart.of}{f' in {chart.currency}' if chart.currency else ''} by {step}: {listed(chart.lines)}"
    tree.set("role", "img")
    tree.set("aria-label", in_words)
    tree.set("class", "chart")
    return Markup(ElementTree.tostring(tree, encoding="unicode", short_empty_elements=True))  # noqa: S704 (pygal escapes)


def named(first: date, step: Step) -> str:
    """``2 Jul`` or ``Jul 2026``."""
    return f"{first.day} {first:%b}" if step is Step.DAY else f"{first:%b %Y}"
