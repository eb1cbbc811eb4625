"""Entries of what no rule can settle: parked facts, claims of a code that nobody has, reports, records that differ.

For each: what it is about, and what to do about it.
"""

from collections.abc import Callable, Mapping
from typing import Final

from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.errors import perhaps
from referral_rewards.domain.facts.orders import OrderName
from referral_rewards.domain.referrals.lifecycle import CLOSED
from referral_rewards.register.queue.strays import COUNTED_MAX
from referral_rewards.reporting.queue.rows import EntryRow


def loose_end(row: EntryRow) -> tuple[str, str] | None:
    """Return what the entry is about and what to do about it; None if it is none of these."""
    words = _WORDS.get(row.exception)
    return None if words is None else words(row)


def _parked(row: EntryRow) -> tuple[str, str]:
    if row.referral_id:
        return "facts of a referral that no invitation or claim has begun", _BEGIN_IT
    program, since = row.subject, f"{row.strays_since:%Y-%m-%d}" if row.strays_since else "then"
    waits = "1 referral waits" if row.strays == 1 else f"{_up_to_max(row.strays)} referrals wait"
    about = f"{waits} for terms of “{program}”; the first began on {since}"
    if row.terms_from is not None:
        return about, _TOO_EARLY.format(terms=f"{row.terms_from:%Y-%m-%d}", since=since)
    perhaps_meant = perhaps(program, row.programs or ()) or "."
    return about, _PUBLISH.format(perhaps=perhaps_meant, since=since)


def _unlinked_claim(row: EntryRow) -> tuple[str, str]:
    if row.owners:
        return f"code “{row.code}”, which {row.owners} referrers have", _WHICH_OF_THEM
    return f"code “{row.code}”, which nobody has", _WHOSE_CODE


def _unlinked_order(row: EntryRow) -> tuple[str, str]:
    newest, number = ", ".join(row.orders or ()), row.strays
    orders = "1 order of no referral was" if number == 1 else f"{_up_to_max(number)} orders of no referral were"
    of = f", of {row.referrer}" if row.referrer else ""
    newest = f"order {newest}" if number == 1 else f"the newest: {newest}"
    return f"{orders} made with the code “{row.subject}”{of}; {newest}", _SEND_THE_CLAIM


def _unread_event(row: EntryRow) -> tuple[str, str]:
    newest, number = (row.orders or ("",))[0], row.strays
    events = "1 event" if number == 1 else f"{_up_to_max(number)} events"
    about = f"{events} of source “{row.subject}” could not be taken; the newest is {newest}"
    return about, _MEND_THE_SOURCE.format(source=row.subject)


def _up_to_max(number: int) -> str:
    return f"more than {COUNTED_MAX}" if number > COUNTED_MAX else str(number)


def _reported(row: EntryRow) -> tuple[str, str]:
    closed = row.status in CLOSED
    told = f"the {row.told_by or 'referee'} tells of"
    if row.told_order is not None and row.on_record:
        about = f"{told} order {OrderName(row.told_order, row.told_store)}, which is on record for another customer"
        return about, _LINK_IT_CLOSED if closed else _LINK_IT
    what = f"order {OrderName(row.told_order, row.told_store)}" if row.told_order else "a purchase"
    return f"{told} {what}, which no source has confirmed", _ASK_CLOSED if closed else _ASK


def _closed_in_conflict(row: EntryRow) -> tuple[str, str]:
    order = OrderName(row.told_order or "", row.told_store)
    about = f"what is told of order {order} differs; if {row.told_source} is read otherwise, it would have qualified"
    return about, _WHICH_RECORD


_PUBLISH: Final = (
    "Nobody published terms of a program of this name{perhaps} Publish terms in force since {since}. If the name is "
    "wrong, have the source send these facts again with the right one, then set this aside."
)
_TOO_EARLY: Final = (
    "Its first terms are in force since {terms}. Publish a version in force since {since}; once a later referral is "
    "bound to the first version that is refused: then set this aside."
)
_BEGIN_IT: Final = (
    "Have the source send its invitation or its claim, with the program and the referrer or code. If the id is wrong, "
    "have it send these facts again with the right one, then set this aside."
)
_WHOSE_CODE: Final = (
    "Find out whose code was meant. If an enrolment is missing, have the source send it: the claim takes it up by "
    "itself. Else set this aside; once the claim waits for approval, reassign it."
)
_WHICH_OF_THEM: Final = (
    "Find out whose code was meant, then set this aside; once the claim waits for approval, reassign it."
)
_SEND_THE_CLAIM: Final = (
    "Whoever used the code may have been referred. Have the source send a claim with the code and the customer: it "
    "begins a referral, which takes up the order. If it is of a referral that is there, link the order to that. Else "
    "set this aside."
)
_MEND_THE_SOURCE: Final = (
    "Nothing is lost: the events are kept. Mend the mapping of the source, or have its vendor send what is missing, "
    "then run `referrals sources replay {source}`. If nothing is to be made of them, set this aside."
)
_ASK: Final = (
    "Ask the source of conversions about the purchase. Nothing is paid before it confirms it. If it does not know it, "
    "set the report aside."
)
_ASK_CLOSED: Final = (
    "Ask the source of conversions about the purchase. Once it is on record, reopen the referral; if the source does "
    "not know it, leave the referral closed."
)
_LINK_IT: Final = (
    "Find out who bought. If a colleague or a relative did, link the order to this referral; else set the report aside."
)
_LINK_IT_CLOSED: Final = (
    "Find out who bought. If a colleague or a relative did, link the order, which reopens the referral; else leave it "
    "closed."
)
_WHICH_RECORD: Final = (
    "Ask the sources what is right. If this customer’s is an order of its own, have it sent with its store or another "
    "id; if one refund was told twice, have one of the two sent as failed. Then reopen the referral; else leave it "
    "closed."
)

_WORDS: Final[Mapping[Waits, Callable[[EntryRow], tuple[str, str]]]] = {
    Waits.PARKED: _parked,
    Waits.UNLINKED_CLAIM: _unlinked_claim,
    Waits.UNLINKED_ORDER: _unlinked_order,
    Waits.UNREAD_EVENT: _unread_event,
    Waits.REPORTED: _reported,
    Waits.CLOSED_IN_CONFLICT: _closed_in_conflict,
}
