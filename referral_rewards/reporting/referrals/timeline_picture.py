"""Draw a timeline as an SVG: four bars, numbered marks above them, and a line for the current time.

It takes its colours from the page, needs no script, and has a text description. Marks differ in shape, so that colour
is not needed to tell them apart.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

from referral_rewards.domain import calendar
from referral_rewards.reporting.referrals.timeline import Mark, Sign, Span, Timeline
from referral_rewards.reporting.referrals.timeline_scale import LEFT, RIGHT, Scale

_WIDTH = 960
_TICKS, _LANES, _LANE, _ROW, _BAR = 16, 34, 24, 28, 14
#: Two marks nearer to each other than this are drawn in different lanes.
_APART: Final = 22


def picture(timeline: Timeline) -> str:
    """Return the picture as an ``svg`` element for a page."""
    zone = calendar.zone(timeline.zone)
    scale = Scale(timeline)
    lanes = _lanes([scale.x(mark.at) for mark in timeline.marks])
    first_bar = _LANES + _LANE * (max(lanes, default=0) + 1)
    bottom = first_bar + _ROW * len(timeline.spans)
    numbered = enumerate(zip(timeline.marks, lanes, strict=True), start=1)
    parts = [
        f'<svg class="timeline" viewBox="0 0 {_WIDTH} {bottom + 8}" role="img" aria-labelledby="tl-title tl-desc">',
        '<title id="tl-title">Timeline</title>',
        f'<desc id="tl-desc">{escape(" ".join(in_words(timeline)))}</desc>',
        *_axis(scale, zone, bottom),
        *(_bar(span, scale, zone, first_bar + _ROW * row) for row, span in enumerate(timeline.spans)),
        *_stems(timeline.marks, lanes, scale, bottom),
        *_now(timeline, scale, bottom),
        *(_mark(number, mark, scale, lane) for number, (mark, lane) in numbered),
        "</svg>",
    ]
    return "\n".join(parts)


def in_words(timeline: Timeline) -> list[str]:
    """Return what the picture shows, one sentence for each element."""
    zone = calendar.zone(timeline.zone)
    said = [
        f"{span.label}: {span.note}."
        if span.starts is None or span.ends is None
        else f"{span.label}: from {_day(span.starts, zone)} until {_day(span.ends, zone)}."
        for span in timeline.spans
    ]
    return [*said, *(f"{n}. {_day(mark.at, zone)}: {mark.said}." for n, mark in enumerate(timeline.marks, start=1))]


def _axis(scale: Scale, zone: ZoneInfo, bottom: float) -> Iterator[str]:
    yield f'<line class="axis" x1="{LEFT}" y1="{_TICKS + 6}" x2="{RIGHT}" y2="{_TICKS + 6}"/>'
    for day in scale.days(zone):
        x = scale.x(day)
        yield f'<line class="tick" x1="{x:.1f}" y1="{_TICKS + 6}" x2="{x:.1f}" y2="{bottom}"/>'
        yield f'<text class="quiet" x="{x:.1f}" y="{_TICKS}" text-anchor="middle">{day.day} {day:%b}</text>'
    for x in scale.breaks:
        yield f'<path class="break" d="M{x - 5:.1f} {_TICKS + 12}l4-12m2 12l4-12"/>'


def _bar(span: Span, scale: Scale, zone: ZoneInfo, top: float) -> str:
    middle, y = top + 5, top - _BAR / 2 + 2
    track = f'<rect class="track" x="{LEFT}" y="{y:.1f}" width="{RIGHT - LEFT}" height="{_BAR}" rx="3"/>'
    name = f'<text x="0" y="{middle + 1}">{escape(span.label)}</text>'
    beside = f'<text class="quiet" x="{RIGHT + 12}" y="{middle + 1}">{{}}</text>'
    if span.starts is None or span.ends is None:
        return track + name + beside.format(escape(span.note))
    start, end = scale.x(span.starts), scale.x(span.ends)
    width = max(end - start, 3)
    bar = f'<rect class="{span.name}" x="{start:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_BAR}" rx="3"/>'
    until = f"{'ended' if span.over else 'until'} {_day(span.ends, zone)}"
    return track + bar + name + beside.format(escape(until))


def _stems(marks: Sequence[Mark], lanes: Sequence[int], scale: Scale, bottom: float) -> Iterator[str]:
    for mark, lane in zip(marks, lanes, strict=True):
        x = scale.x(mark.at)
        yield f'<line class="stem" x1="{x:.1f}" y1="{_LANES + _LANE * lane}" x2="{x:.1f}" y2="{bottom}"/>'


def _now(timeline: Timeline, scale: Scale, bottom: float) -> Iterator[str]:
    x = scale.x(timeline.now)
    yield f'<line class="now" x1="{x:.1f}" y1="{_TICKS + 6}" x2="{x:.1f}" y2="{bottom}"/>'
    yield f'<text x="{min(x, RIGHT):.1f}" y="{_TICKS}" text-anchor="middle">now</text>'


def _mark(number: int, mark: Mark, scale: Scale, lane: int) -> str:
    x, y = scale.x(mark.at), _LANES + _LANE * lane
    mood = "" if mark.good is None else " good" if mark.good else " bad"
    shape = _SHAPES[mark.sign].format(style=f"mark{mood}", x=x, y=y, left=x - 9, top=y - 9)
    said = f"<title>{number}. {escape(mark.said)}</title>"
    inside = "number" if mood else ""
    return f'<g>{said}{shape}<text class="{inside}" x="{x:.1f}" y="{y + 4}" text-anchor="middle">{number}</text></g>'


_SHAPES: Final = {
    Sign.STEP: '<circle class="{style}" cx="{x:.1f}" cy="{y}" r="9.5"/>',
    Sign.CONVERSION: '<path class="{style}" d="M{x:.1f} {y}m0-12l12 12-12 12-12-12z"/>',
    Sign.TAKEN_BACK: '<path class="{style}" d="M{x:.1f} {y}m-12-9h24l-12 22z"/>',
    Sign.DECISION: '<rect class="{style}" x="{left:.1f}" y="{top:.1f}" width="18" height="18" rx="2"/>',
    Sign.PAYMENT: '<path class="{style}" d="M{x:.1f} {y}m-6-10h12l6 10-6 10h-12l-6-10z"/>',
}


def _lanes(places: Sequence[float]) -> list[int]:
    """Return for each mark, in order, the first lane in which it does not touch the previous one."""
    ends: list[float] = []
    chosen = []
    for place in places:
        lane = next((at for at, end in enumerate(ends) if place - end >= _APART), len(ends))
        ends[lane : lane + 1] = [place]
        chosen.append(lane)
    return chosen


def _day(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{local.day} {local:%b %Y, %H:%M}"
