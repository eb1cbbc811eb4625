"""The flows of a comparison as an SVG: outcomes before on the left, after on the right, ribbons between them.

It needs no library, script or font. It works in light and dark mode, and has a text description.
"""

from collections.abc import Iterator
from html import escape
from typing import Final, NamedTuple

from referral_rewards.reporting.simulation.comparison import Comparison, Flow, Tally, difference, in_words
from referral_rewards.reporting.simulation.outcomes import Outcome
from referral_rewards.reporting.simulation.simulating import Proposal

_WIDTH: Final = 1000
#: The inner edges of the two columns, and how wide their bars are.
_LEFT, _RIGHT, _BAR = 300, 700, 12
_TOP: Final = 158
#: The height of all referrals together; the minimum height of an outcome (three lines of text); and the gap below it.
_HEIGHT, _ROOM, _GAP = 340, 56, 8
#: The minimum height of a ribbon, so that a single referral is visible; and the height from which it has a number.
_THINNEST, _NUMBERED = 2.0, 16.0
_LINE: Final = 24


class _Span(NamedTuple):
    """The vertical extent of an element, measured from the top."""

    top: float
    bottom: float

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


class _Column(NamedTuple):
    """The extents of a column's outcomes, and of the flows within them."""

    outcomes: dict[Outcome, _Span]
    flows: dict[tuple[Outcome, Outcome], _Span]
    bottom: float


def picture(proposal: Proposal, found: Comparison) -> str:
    """Return the picture of a comparison as the text of an SVG file."""
    program, who, costs = proposal.program, _who(proposal, found), _costs(found)
    left, right = _column(found, after=False), _column(found, after=True)
    ends = max(left.bottom, right.bottom) + 36
    changing = [flow for flow in found.flows if not flow.stays or _dearer(flow)]
    height = ends + _LINE * len(changing) + 28
    told = [f"{flow.referrals} from “{flow.before.words}” to “{flow.after.words}”." for flow in found.flows]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img"'
        ' aria-labelledby="title desc" font-family="system-ui, -apple-system, \'Segoe UI\', Helvetica, sans-serif">',
        f'<title id="title">{escape(program)} under other terms</title>',
        f'<desc id="desc">{escape(" ".join([f"{who}: {costs}.", *told]))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{_WIDTH}" height="{height:.0f}"/>',
        _text(40, 46, f"{program} under other terms", "head"),
        _text(40, 74, who, "quiet"),
        _text(40, 96, costs, "quiet"),
        _text(_LEFT, _TOP - 18, "under their own terms", "quiet", "end"),
        _text(_RIGHT, _TOP - 18, "under the new terms", "quiet"),
        *(_ribbon(flow, left, right) for flow in sorted(found.flows, key=lambda flow: not flow.stays)),
        *_bars(left, found.before, _LEFT - _BAR, -1),
        *_bars(right, found.after, _RIGHT, +1),
        *_numbers(found, left, right),
        _text(40, ends, "What changes" if changing else "No outcome and no cost changes.", "strong"),
        *(_note(flow, ends + _LINE * line) for line, flow in enumerate(changing, start=1)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _column(found: Comparison, *, after: bool) -> _Column:
    """Stack the outcomes of one side, each with its flows in the order of the other side's outcomes."""
    column, top = _Column({}, {}, 0), float(_TOP)
    for outcome in Outcome:
        flows = [flow for flow in found.flows if (flow.after if after else flow.before) is outcome]
        if not flows:
            continue
        heights = [max(_THINNEST, _HEIGHT * flow.referrals / found.referrals) for flow in flows]
        room = max(sum(heights), _ROOM)
        at = start = top + (room - sum(heights)) / 2
        for flow, height in zip(flows, heights, strict=True):
            column.flows[flow.before, flow.after] = _Span(at, at + height)
            at += height
        column.outcomes[outcome] = _Span(start, at)
        top += room + _GAP
    return column._replace(bottom=top)


def _ribbon(flow: Flow, left: _Column, right: _Column) -> str:
    """Draw one flow; a change of outcome is emphasised."""
    leaves, arrives = left.flows[flow.before, flow.after], right.flows[flow.before, flow.after]
    bend = (_LEFT + _RIGHT) / 2
    path = (
        f"M{_LEFT} {leaves.top:.1f}C{bend} {leaves.top:.1f} {bend} {arrives.top:.1f} {_RIGHT} {arrives.top:.1f}"
        f"V{arrives.bottom:.1f}C{bend} {arrives.bottom:.1f} {bend} {leaves.bottom:.1f} {_LEFT} {leaves.bottom:.1f}Z"
    )
    kind = "stays" if flow.stays else "moves"
    return f'<path class="{flow.after} {kind}" d="{path}"><title>{escape(_told(flow))}</title></path>'


def _bars(column: _Column, tally: Tally, x: int, outwards: int) -> Iterator[str]:
    """Draw the outcomes of a column: a bar, its name and number, and its amounts below."""
    anchor, beside = ("start", x + _BAR + 12) if outwards > 0 else ("end", x - 12)
    for outcome, span in column.outcomes.items():
        height = span.bottom - span.top
        yield f'<rect class="{outcome}" x="{x}" y="{span.top:.1f}" width="{_BAR}" height="{height:.1f}"/>'
        said = _money(outcome, tally)
        y = span.middle + 5 - 9 * len(said)
        yield _text(beside, y, f"{outcome.words}  {tally.outcomes[outcome]}", "strong", anchor)
        for line, money in enumerate(said, start=1):
            yield _text(beside, y + 18 * line, money, "quiet", anchor)


def _money(outcome: Outcome, tally: Tally) -> list[str]:
    """Return the cost of an outcome's referrals, and their cost if a person approved them, as text."""
    said = [in_words(tally.cost_of[outcome].both)] if outcome in tally.cost_of else []
    if outcome is Outcome.FOR_A_PERSON and (waiting := in_words(tally.if_approved.both)):
        said.append(f"{waiting} if approved")
    return said


def _numbers(found: Comparison, left: _Column, right: _Column) -> Iterator[str]:
    """Write the number of referrals at both ends of a ribbon that is high enough for it."""
    for flow in found.flows:
        leaves, arrives = left.flows[flow.before, flow.after], right.flows[flow.before, flow.after]
        if leaves.bottom - leaves.top >= _NUMBERED and not flow.stays:
            yield _text(_LEFT + 10, leaves.middle + 5, str(flow.referrals), "number")
            yield _text(_RIGHT - 10, arrives.middle + 5, str(flow.referrals), "number", "end")


def _note(flow: Flow, y: float) -> str:
    swatch = f'<rect class="{flow.after}" x="40" y="{y - 11:.1f}" width="12" height="12" rx="2"/>'
    return swatch + _text(62, y, _told(flow), "body")


def _told(flow: Flow) -> str:
    """Return a flow in words, with its change in cost."""
    change = _dearer(flow)
    count = f"{flow.referrals} {'referral' if flow.referrals == 1 else 'referrals'}"
    way = f"still {flow.after.words}" if flow.stays else f"{flow.before.words} → {flow.after.words}"
    return f"{count}: {way}{f', {change}' if change else ''}"


def _dearer(flow: Flow) -> str:
    """Return the signed change in cost of a flow as text; empty if there is none."""
    return in_words(difference(flow.cost_before, flow.cost_after), signed=True)


def _who(proposal: Proposal, found: Comparison) -> str:
    begun = f" begun {proposal.period}" if proposal.period else ""
    return f"{found.referrals} {'referral' if found.referrals == 1 else 'referrals'}{begun}"


def _costs(found: Comparison) -> str:
    before, after = found.before.cost.both, found.after.cost.both
    change = in_words(difference(before, after), signed=True) or "no difference"
    return f"cost {in_words(before) or 'nothing'} before, {in_words(after) or 'nothing'} after ({change})"


def _text(x: float, y: float, said: str, style: str, anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.0f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'


#: Colours by outcome, distinguishable with colour blindness; the text beside them says the same.
_STYLE: Final = """
.ground{fill:#ffffff}.head{fill:#16191d;font-size:24px;font-weight:650}
.strong{fill:#16191d;font-size:15px;font-weight:600;white-space:pre}.body{fill:#16191d;font-size:15px}
.quiet{fill:#59626d;font-size:14px}.number{fill:#16191d;font-size:13px;font-weight:600}
.approved{fill:#0a8f6c}.for_a_person{fill:#d9920a}.denied{fill:#c8452c}
.expired{fill:#7b6bb5}.withdrawn{fill:#8a8f96}.waiting{fill:#3f86c6}
.stays{fill-opacity:.18}.moves{fill-opacity:.55}
@media (prefers-color-scheme:dark){
.ground{fill:#14171b}.head,.strong,.body,.number{fill:#eceff2}.quiet{fill:#a3adb8}
.approved{fill:#2dbd94}.for_a_person{fill:#efb136}.denied{fill:#ec6f55}
.expired{fill:#a596e0}.withdrawn{fill:#a0a6ae}.waiting{fill:#68abe8}
.stays{fill-opacity:.22}.moves{fill-opacity:.6}}
"""
