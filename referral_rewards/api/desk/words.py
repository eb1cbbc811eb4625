"""The words of the desk: how it writes values for people, what follows from each decision, and what people type.

What a code is called stands in `domain.labels`; here is how labels, amounts, times and sentences stand on a page.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from referral_rewards.domain import calendar, instants
from referral_rewards.domain.claims.approval import DecisionKind
from referral_rewards.domain.decisions.money_acts import MoneyAct
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.labels import sentences, vocabularies
from referral_rewards.domain.money import from_minor

_K = DecisionKind
_A = MoneyAct

#: The key that chooses each kind of decision in a browser with scripts.
KEYS: Final[Mapping[DecisionKind, str]] = {
    _K.APPROVE: "a",
    _K.DENY: "d",
    _K.HOLD: "h",
    _K.RELEASE: "r",
    _K.REQUEST_EVIDENCE: "e",
    _K.REASSIGN: "m",
    _K.ADJUST: "j",
    _K.LINK: "l",
    _K.REOPEN: "o",
}

#: What follows from a decision on money.
FOLLOWS: Final[Mapping[MoneyAct, str]] = {
    _A.RETRY_PAYOUT: "The payout is verified again and sent under a new idempotency key.",
    _A.SETTLE_PAYOUT: "The payout is booked as paid under your reference; if it had been cancelled, it is booked as a "
    "loss. Nothing is sent.",
    _A.REFUSE_PAYOUT: "The payout becomes refused. Somebody else can then retry it under a new idempotency key. If it "
    "had been cancelled, it is cancelled again.",
    _A.CANCEL_PAYOUT: "Nothing more is sent, and the rewards in this payout are no longer owed.",
    _A.CONFIRM_PAYOUT: "The payout is booked as paid under the bank reference.",
    _A.REVERSE_CLAWBACK: "The provider is asked to take this amount back from the payee.",
    _A.OFFSET_CLAWBACK: "This amount is deducted from the payee's next payouts.",
    _A.WRITE_OFF_CLAWBACK: "This amount is not recovered and is booked as a loss.",
    _A.RETURN_CLAWBACK: "This amount is paid to the payee again, where the reward was paid. It is a new payment.",
    _A.OPEN_CLAWBACK: "A case over this amount opens. No money moves before finance decides on the case.",
    _A.DISMISS_CLAWBACK: "The payee keeps the reward, and the case is closed.",
    _A.SETTLE_CLAWBACK: "The amount is booked as recovered under your reference.",
    _A.REFUSE_CLAWBACK: "Nothing counts as recovered, and the case can be decided again.",
    _A.RELEASE_CYCLE: "Every payout in the cycle is verified again and sent.",
    _A.STOP_CYCLE: "Payouts that were not sent yet wait until somebody resumes the cycle.",
    _A.RESUME_CYCLE: "The cycle continues where it was stopped. Nothing that was sent is sent again.",
    _A.REDIRECT_PAYEE: "Once enough people signed, all that waits for the payee on this rail is paid to this "
    "destination.",
    _A.REOPEN_RAIL: "Waiting payouts are sent over this rail again. Each is looked up before its first sending.",
    _A.ASSIGN_PAYMENT: "The payout that you name counts as paid by this payment, if amount and payee agree. Nothing is "
    "sent. Other payouts to this payee continue.",
    _A.DISOWN_PAYMENT: "Payouts to this payee continue. If one of them was this payment, it is paid twice.",
    _A.PAUSE_PROGRAM: "Nothing is approved and nothing new is sent until the program is resumed. Nothing becomes void, "
    "and what was sent is followed up.",
    _A.RESUME_PROGRAM: "Claims can be approved again, and what waited is sent.",
    _A.END_PROGRAM: "Referrals that begin at or after the end are denied. Earlier ones go on under their terms. An end "
    "is final.",
    _A.ADD_BUDGET: "Once finance and the program owner have both signed, claims that the budget cut are judged again.",
    _A.START_PILOT: "The program is measured from now on, over one payout cycle or the period that you name. "
    "Nothing is judged or paid otherwise for it.",
    _A.END_PILOT: "What was measured is signed with your name, as a go or a no-go. Ended early, a pilot is a no-go.",
    _A.PAY_BELOW_MINIMUM: "The payee is paid in this one cycle even below its minimum, once finance releases it.",
}

#: What follows from a decision on many claims at once.
FOLLOWS_TOGETHER: Final[Mapping[DecisionKind, str]] = {
    _K.APPROVE: "Each claim is judged again. Where your signature is the last one missing, the reward is reserved and "
    "paid.",
    _K.DENY: "Each referral is closed without a reward, and the people concerned are told. Only reopening it can "
    "correct this.",
    _K.HOLD: "Nothing is paid until somebody releases the hold.",
    _K.RELEASE: "Claims on hold wait for their approvers again, or continue if they were approved.",
    _K.REQUEST_EVIDENCE: "The people concerned are asked for evidence. The claims stay in the queue.",
}


_IN_BACKTICKS: Final = re.compile(r"(`+)(.+?)\1")
#: An instant inside a sentence: ``2026-07-10 14:00 UTC`` or ``2026-07-10T14:00:00Z``.
_INSTANT: Final = re.compile(r"\b(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?(?: UTC|Z|\+00:00)")


@dataclass(slots=True)
class Clock:
    """The one time zone of a page, said once at its foot; ``whose`` is it; ``used`` once a time was written in it."""

    zone: str = "UTC"
    whose: str = ""
    used: bool = False


_CLOCK: Final[ContextVar[Clock]] = ContextVar("clock")


@contextmanager
def on(clock: Clock) -> Iterator[None]:
    """Has every time that is written meanwhile be of this clock: no page can mix two zones."""
    before = _CLOCK.set(clock)
    try:
        yield
    finally:
        _CLOCK.reset(before)


def money(amount_minor: int | None, currency: str | None) -> str:
    """``1,234.50 USD``, or a dash where there is no amount."""
    if amount_minor is None or currency is None:
        return "–"
    return f"{from_minor(amount_minor, currency):,} {currency}"


def change(amount_minor: int, currency: str) -> str:
    """``+1,234.50 USD``, ``−1,234.50 USD``, or a dash where nothing changed."""
    if not amount_minor:
        return "–"
    return f"{'+' if amount_minor > 0 else '−'}{money(abs(amount_minor), currency)}"


def when(moment: datetime | str | None) -> Markup:
    """``10 Jul 2026, 10:00`` in the zone of the page: a ``time`` element, exact for machines and with UTC on hover."""
    if moment is None:
        return Markup("–")
    clock = _CLOCK.get(Clock())
    clock.used = True
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    local, exact = at.astimezone(_zone(clock.zone)), at.astimezone(UTC)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        exact.isoformat().replace("+00:00", "Z"), _minute(exact), _minute(local)
    )


def age(since: datetime, now: datetime) -> str:
    """How long ago that was, in the largest unit that fits: ``3 d``."""
    return instants.age(now - since)


def told(sentence: str | None) -> Markup:
    """A sentence of ours as it stands on a page: its times are in the page's zone.

    Sentences name the zone of their times, as they are also read in letters, in files and on a terminal.
    """
    if sentence is None:
        return Markup("")
    text = str(sentence)
    zone = _CLOCK.get(Clock()).zone
    parts: list[Markup] = []
    last = 0
    for found in _INSTANT.finditer(text):
        moment = datetime.fromisoformat(f"{found[1]}T{found[2]}+00:00")
        parts += [_without(zone, text[last : found.start()]), when(moment)]
        last = found.end()
    parts.append(_without(zone, text[last:]))
    return Markup().join(parts)


def sentence(said: str | None) -> Markup:
    """`told` of what is said in half a sentence: with a capital at its beginning and a full stop at its end."""
    whole = told(first_upper(str(said))) if said else Markup()
    return whole if not whole or whole.endswith((".", "!", "?", "”")) else whole + Markup(".")


def label(code: Any, vocabulary: str) -> str:
    """What a code of that vocabulary is called (`domain.labels`)."""
    return vocabularies.label(vocabulary, None if code is None else str(code))


def listed(codes: Iterable[Any], vocabulary: str, last: str = "and") -> str:
    """What several codes are called, as a list: ``finance and operations``; a dash for none."""
    names = vocabularies.labels(vocabulary, map(str, codes))
    return sentences.listed(names, last) if names else "–"


def lately(number: int) -> str:
    """What a report says of referrals whose figures are not yet counted anew."""
    their = "it counts as it" if number == 1 else "they count as they"
    return f"{sentences.counted(number, 'referral')} changed so lately that {their} stood some seconds ago."


def first_upper(said: str) -> str:
    """With a capital at its beginning; what follows is left as it is."""
    return said[:1].upper() + said[1:]


def spoken(said: str) -> Markup:
    """A line of a description; what stands between backticks is code."""
    return Markup(_IN_BACKTICKS.sub(r"<code>\2</code>", str(escape(said))))  # noqa: S704 (escaped before)


def prose(said: str) -> Markup:
    """A description of several paragraphs, which blank lines part; other line ends are only how it was typed."""
    return Markup().join(Markup("<p>{}</p>").format(spoken(" ".join(each.split()))) for each in said.split("\n\n"))


@cache
def _zone(name: str) -> ZoneInfo:
    return calendar.zone(name)


def _minute(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M}"


def _without(zone: str, text: str) -> Markup:
    """The text without the name of the zone that the page says anyway."""
    return escape(text.replace(f" ({zone})", ""))


#: What templates may write after a bar.
FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "age": age,
    "change": change,
    "first_upper": first_upper,
    "label": label,
    "lasted": instants.lasted,
    "lately": lately,
    "effect_in_words": vocabularies.effect_in_words,
    "listed": listed,
    "money": money,
    "prose": prose,
    "sentence": sentence,
    "spoken": spoken,
    "told": told,
    "when": when,
}


def day_in(typed: str, field: str) -> date | None:
    """The day in a form's field; None if it was left empty.

    Raises:
        RequestInvalid: if it is no day.
    """
    if not typed.strip():
        return None
    try:
        return date.fromisoformat(typed.strip())
    except ValueError:
        raise RequestInvalid(f"{typed!r} is no day such as 2026-07-01", field) from None


def words_in(**typed: str) -> dict[str, str]:
    """What a list is searched by, by the names of its fields, as PostgreSQL takes it."""
    return {name: value.replace("\0", "").strip() for name, value in typed.items()}


def id_in(typed: str) -> UUID | None:
    """The place in a list that an address names; None, its beginning, for one that names none."""
    try:
        return UUID(typed) if typed else None
    except ValueError:
        return None
