"""What no rule can settle: how it comes about, where it stands in the queue, and each act that ends it."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from referral_rewards.api import source_events
from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.register.queue import strays
from referral_rewards.register.source_events import stored
from tests.desk import PROGRAM, Desk, days_ago, event
from tests.stuck.claims import judge_all
from tests.vendors.stripe_life import MAPPING, SECRET, connected, session, told
from tests.vendors.stripe_life import event as stripe_event

Act = Callable[[Desk], Awaitable[None]]
_W = Waits
_WHO: Final = {"customer": "c-r1", "email": "r1@example.com"}
_STRANGER: Final = {"customer": "c-stranger"}
UNKNOWN_PROGRAM: Final = "acme-frends"


@dataclass(frozen=True, slots=True)
class LooseEnd:
    """One exception: how it is brought about, its key in the queue, what its entry says, and the acts that end it, each
    under the words by which the guide names it."""

    what: str
    why: str
    waits: Waits
    bring: Act
    says: tuple[str, ...]
    acts: dict[str, Act]
    referral: str | None = "r1"
    subject: str | None = None

    def __str__(self) -> str:
        return f"{self.what}, {self.why}"


async def tell(desk: Desk, *facts: dict[str, Any]) -> None:
    told = await desk.tell(list(facts))
    assert told.status_code == 202, told.text
    assert told.json()["conflicts"] == 0, told.text


async def judge(desk: Desk) -> None:
    await desk.judge("r1")


def _order(order: str, customer: dict[str, str], **more: Any) -> dict[str, Any]:
    about = {"order": order, "kind": "purchase", "customer": customer, "amount": "80.00", "currency": "USD"}
    return {**about, "new_customer": True, **more}


def _sent(program: str = "acme-friends", at: float = 60) -> dict[str, Any]:
    about = {"referral": "r1", "program": program, "referrer": "dexter", "channel": "email", "referee": _WHO}
    return event("r1-sent", "referral.sent", days_ago(at), about)


def _claimed(at: float, **more: Any) -> dict[str, Any]:
    return event("r1-claimed", "referral.claimed", days_ago(at), {"referee": _WHO, "consent": True, **more})


def _reported(order: str, at: float) -> dict[str, Any]:
    return event(
        "r1-reported", "conversion.reported", days_ago(at), {"referral": "r1", "order": order, "by": "referrer"}
    )


async def _without_terms(desk: Desk) -> None:
    await tell(desk, _sent(UNKNOWN_PROGRAM))


async def _before_terms(desk: Desk) -> None:
    await tell(desk, _sent(at=4000))


async def _not_begun(desk: Desk) -> None:
    await tell(desk, _claimed(20, referral="r1"))


async def _code_of_nobody(desk: Desk) -> None:
    claim = _claimed(20, program="acme-friends", referrer_code="DEXTRE", channel="link")
    await tell(desk, claim)
    await judge_all(desk)


async def _code_of_several(desk: Desk) -> None:
    for name in ("mia", "noa"):
        who = {"referrer": name, "program": "acme-friends", "code": "SUMMER"}
        await tell(desk, event(f"{name}-again", "referrer.enrolled", days_ago(300), who))
    await tell(desk, _claimed(20, program="acme-friends", referrer_code="summer", channel="link"))
    await judge_all(desk)


async def _open_report(desk: Desk) -> None:
    await tell(desk, _sent(at=20), _claimed(15, referral="r1"), _reported("o-shop", 10))
    await judge(desk)


async def _open_report_of_another(desk: Desk) -> None:
    await tell(desk, event("spare", "conversion.recorded", days_ago(12), _order("o-shop", _STRANGER)))
    await _open_report(desk)


async def _closed_report(desk: Desk) -> None:
    await tell(desk, _sent(at=90), _claimed(85, referral="r1"), _reported("o-shop", 80))
    await judge(desk)


async def _closed_report_of_another(desk: Desk) -> None:
    await tell(desk, event("spare", "conversion.recorded", days_ago(82), _order("o-shop", _STRANGER)))
    await _closed_report(desk)


async def _closed_in_conflict(desk: Desk) -> None:
    await tell(
        desk,
        _sent(at=90),
        _claimed(85, referral="r1"),
        event("shop-1", "conversion.recorded", days_ago(82), _order("1001", _STRANGER)),
        event("shop-2", "conversion.recorded", days_ago(80), _order("1001", _WHO)),
    )
    await judge(desk)


async def _order_with_a_code(desk: Desk) -> None:
    who = {"referrer": "mia", "program": "acme-friends", "code": "MIA-7", "customer": "c-mia"}
    await tell(
        desk,
        event("mia-again", "referrer.enrolled", days_ago(300), who),
        event("other", "conversion.recorded", days_ago(31), _order("o-1", _STRANGER, coupon="SPRING")),
        event("bought", "conversion.recorded", days_ago(30), _order("o-2", _WHO, coupon="mia 7")),
    )


async def _unreadable_event(desk: Desk) -> None:
    source = connected()
    desk.app.state.parts = replace(desk.parts, event_sources={source.name: source})
    poison = stripe_event("evt_1", "checkout.session.completed", session(metadata={"referral_code": ["DEX-7"]}))
    body, now = told(poison).body, datetime.now(UTC)
    signed = hmac.digest(SECRET.encode(), f"{now.timestamp():.0f}.".encode() + body, "sha256").hex()
    headers = {"stripe-signature": f"t={now.timestamp():.0f},v1={signed}"}
    heard = await desk.api.post(f"/v1/webhooks/{source.name}", content=body, headers=headers)
    assert heard.json()["event"] == "parked", heard.text


async def _mend(desk: Desk) -> None:
    parts, mended = desk.app.state.parts, connected(mapping=replace(MAPPING, paths={}))
    async with desk.database.reading() as connection:
        events = await stored.since(connection, mended.name, None, None, 10)
    await source_events.replay(parts, mended, events, datetime.now(UTC))


async def _claim_it(desk: Desk) -> None:
    await tell(desk, _claimed(29, program="acme-friends", referrer_code="MIA-7", channel="link"))
    await sweep(desk)


async def _link_it(desk: Desk) -> None:
    lead = {"referral": "r1", "program": "acme-friends", "referrer": "dexter", "channel": "lead"}
    await tell(desk, event("lead", "referral.sent", days_ago(40), {**lead, "referee": {"customer": "c-boss"}}))
    await judge(desk)
    await _decides("link", "ann", "ben", order="o-2")(desk)
    await sweep(desk)


async def sweep(desk: Desk) -> None:
    """What the relay does each minute."""
    async with desk.database.transaction() as connection:
        await strays.clear(connection)


async def set_aside(desk: Desk) -> None:
    """Sets the one entry aside that can be, as its list shows it."""
    listed = (await desk.get("/v1/claims?limit=100", "ann")).json()["claims"]
    (entry,) = [each for each in listed if each["seen"] is not None]
    asked = {name: entry[name] for name in ("exception", "referral", "subject", "seen")}
    made = await desk.api.post("/v1/queue/set-aside", json={**asked, "note": "asked"}, headers=desk.bearer("ann"))
    assert made.status_code == 201, made.text


async def _publish(desk: Desk) -> None:
    await desk.publish(PROGRAM.replace("program: acme-friends", f"program: {UNKNOWN_PROGRAM}"))
    await sweep(desk)


async def _begin(desk: Desk) -> None:
    await tell(desk, _sent(at=25))
    await judge(desk)


async def _enrol(desk: Desk) -> None:
    who = {"referrer": "mia", "program": "acme-friends", "code": "DEXTRE", "customer": "c-mia"}
    await tell(desk, event("mia-again", "referrer.enrolled", days_ago(300), who))
    await judge_all(desk)


async def _confirm(desk: Desk) -> None:
    await tell(desk, event("bought", "conversion.recorded", days_ago(12), _order("o-shop", _WHO)))
    await judge(desk)


def _decides(kind: str, *people: str, **given: Any) -> Act:
    async def act(desk: Desk) -> None:
        for person in people:
            made = await desk.decide("r1", kind, person, **{"reason": "other", **given})
            assert made.status_code == 201, made.text
        await judge(desk)

    return act


_REOPEN: Final = _decides("reopen", "ann", reason="error_corrected")
_LEAVE: Final = _decides("deny", "ann", reason="terms_not_met")
_LINK: Final = _decides("link", "ann", "ben", order="o-shop")

LOOSE_ENDS: Final = (
    LooseEnd(
        "parked facts",
        "nobody published terms of their program",
        _W.PARKED,
        _without_terms,
        ("1 referral waits for terms of “acme-frends”", "did you mean 'acme-friends'?", "Publish terms"),
        {"publish terms": _publish, "set them aside": set_aside},
        referral=None,
        subject=UNKNOWN_PROGRAM,
    ),
    LooseEnd(
        "parked facts",
        "their referral began before the first terms",
        _W.PARKED,
        _before_terms,
        ("Its first terms are in force since", "Publish a version"),
        {"set them aside": set_aside},
        referral=None,
        subject="acme-friends",
    ),
    LooseEnd(
        "parked facts",
        "no invitation or claim began their referral",
        _W.PARKED,
        _not_begun,
        ("no invitation or claim has begun", "send its invitation"),
        {"have the invitation sent": _begin, "set them aside": set_aside},
    ),
    LooseEnd(
        "claim",
        "of a code that nobody has",
        _W.UNLINKED_CLAIM,
        _code_of_nobody,
        ("code “DEXTRE”, which nobody has", "reassign"),
        {"have the enrolment sent": _enrol, "set it aside": set_aside},
        referral=None,
    ),
    LooseEnd(
        "claim",
        "of a code that several have",
        _W.UNLINKED_CLAIM,
        _code_of_several,
        ("code “summer”, which 2 referrers have", "reassign"),
        {"set it aside": set_aside},
        referral=None,
    ),
    LooseEnd(
        "orders",
        "with a referrer’s code, and of no referral",
        _W.UNLINKED_ORDER,
        _order_with_a_code,
        ("1 order of no referral was made with the code “mia7”, of mia; order o-2", "link the order"),
        {"have the claim sent": _claim_it, "link the order": _link_it, "set them aside": set_aside},
        referral=None,
        subject="mia7",
    ),
    LooseEnd(
        "events",
        "that can’t be read, or wait for others in vain",
        _W.UNREAD_EVENT,
        _unreadable_event,
        ("1 event of source “stripe-orders” could not be taken; the newest is evt_1: code: is no text", "replay"),
        {"mend the mapping and replay": _mend, "set them aside": set_aside},
        referral=None,
        subject="stripe-orders",
    ),
    LooseEnd(
        "report",
        "of an order that no source has confirmed",
        _W.REPORTED,
        _open_report,
        ("the referrer tells of order o-shop, which no source has confirmed", "Ask the source"),
        {"have the order sent": _confirm, "set it aside": set_aside},
    ),
    LooseEnd(
        "report",
        "of somebody else’s order",
        _W.REPORTED,
        _open_report_of_another,
        ("which is on record for another customer", "link the order"),
        {"link the order": _LINK, "set it aside": set_aside},
    ),
    LooseEnd(
        "report",
        "of an order that no source has confirmed, the referral closed",
        _W.REPORTED,
        _closed_report,
        ("which no source has confirmed", "reopen the referral"),
        {"reopen": _REOPEN, "leave it closed": _LEAVE},
    ),
    LooseEnd(
        "report",
        "of somebody else’s order, the referral closed",
        _W.REPORTED,
        _closed_report_of_another,
        ("which is on record for another customer", "link the order, which reopens"),
        {"link the order": _LINK, "leave it closed": _LEAVE},
    ),
    LooseEnd(
        "closing",
        "that another record of the order would have prevented",
        _W.CLOSED_IN_CONFLICT,
        _closed_in_conflict,
        ("what is told of order 1001 differs", "reopen the referral"),
        {"reopen": _REOPEN, "leave it closed": _LEAVE},
    ),
)
