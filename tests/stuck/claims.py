"""Claims with each flag, and referrals in each status: brought there by facts and decisions alone."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import text

from referral_rewards.domain.claims.findings import Flag
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from tests.desk import PROGRAM, Desk, days_ago, event, life_of
from tests.stuck.stage import Bring

#: Three people who hold every role that decides: nothing is out of reach for want of a person.
EVERYBODY: Final = ("ann", "ben", "cleo")
OTHER: Final = "other"


async def furnished(desk: Desk) -> None:
    """Adds the people, a second referrer, and an order that no referral names."""
    for name in EVERYBODY:
        await desk.add_user(name, Role.FINANCE, Role.OPERATIONS, Role.PROGRAM_OWNER)
    await _tell(
        desk,
        event("e-mia", "referrer.enrolled", days_ago(300), {"referrer": "mia", "program": "acme-friends"}),
        *(
            event(order, "conversion.recorded", days_ago(40), _order(order, {"customer": "c-stranger"}))
            for order in ("o-spare", "o-spare-2")
        ),
    )


async def _tell(desk: Desk, *facts: dict[str, Any]) -> None:
    told = await desk.tell(list(facts))
    assert told.status_code == 202, told.text


def _order(order: str, customer: Mapping[str, str], **more: Any) -> dict[str, Any]:
    about = {"order": order, "kind": "purchase", "customer": dict(customer), "amount": "80.00", "currency": "USD"}
    return {**about, "new_customer": True, **more}


def _with(type_: str, data: Mapping[str, Any], *, at: float = 30) -> Bring:
    """A referral before its approvers, of which this was told, too."""

    async def bring(desk: Desk) -> None:
        await _tell(desk, *life_of("r1"), event("told", type_, days_ago(at), dict(data)))
        await desk.judge("r1")

    return bring


def _changed(**changed: Mapping[str, Any]) -> Bring:
    """A referral of which one fact says this: `sent`, `claimed` or `bought`."""

    async def bring(desk: Desk) -> None:
        facts = dict(zip(("sent", "claimed", "bought"), life_of("r1"), strict=True))
        for name, data in changed.items():
            facts[name]["data"] |= data
        await _tell(desk, *facts.values())
        await desk.judge("r1")

    return bring


def _under(*changes: tuple[str, str], referrer: Mapping[str, Any] | None = None, **claimed: Any) -> Bring:
    """A referral of another program, whose terms differ so from the example's."""

    async def bring(desk: Desk) -> None:
        source = PROGRAM.replace("program: acme-friends", f"program: {OTHER}")
        for before, after in changes:
            assert before in source, before
            source = source.replace(before, after)
        await desk.publish(source)
        who = {"referrer": "dexter", "program": OTHER, "customer": "c-dexter", **(referrer or {})}
        facts = life_of("r1", **claimed)
        facts[0]["data"]["program"] = OTHER
        await _tell(desk, event("e-other", "referrer.enrolled", days_ago(300), who), *facts)
        await desk.judge("r1")

    return bring


async def _self_referral(desk: Desk) -> None:
    facts = life_of("r1")
    for fact in facts:
        who = fact["data"].get("referee") or fact["data"]["customer"]
        who["email"] = "dexter+friend@example.com"
    await _tell(desk, *facts)
    await desk.judge("r1")


def _rival(referrer: str) -> Bring:
    """Another referral of the same referee claims the same order."""

    async def bring(desk: Desk) -> None:
        who = {"customer": "c-r1", "email": "r1@example.com"}
        sent = {"referral": "r2", "program": "acme-friends", "referrer": referrer, "channel": "email", "referee": who}
        claimed = {"referral": "r2", "referee": who, "consent": True}
        await _tell(
            desk,
            *life_of("r1"),
            event("r2-1", "referral.sent", days_ago(59), sent),
            event("r2-2", "referral.claimed", days_ago(49), claimed),
        )
        await desk.judge("r2")
        await desk.judge("r1")

    return bring


async def _duplicate(desk: Desk) -> None:
    """A second referral of one referrer, reopened after it closed because the first one was rewarded."""
    await _rival("dexter")(desk)
    assert (await desk.decide("r1", "approve", "ann")).status_code == 201
    await desk.judge("r1")
    async with desk.database.transaction() as connection:
        await connection.execute(text("UPDATE referral SET status = 'rewarded' WHERE id = 'r1'"))
    await desk.judge("r2")
    made = await desk.decide("r2", "reopen", "ann", reason="error_corrected")
    assert made.status_code == 201, made.text
    await desk.judge("r2")


def _requested(order: str) -> Bring:
    """A reward that dexter asks for, of an order of somebody whom no referral names."""

    async def bring(desk: Desk) -> None:
        who = {"customer": "c-r1", "email": "r1@example.com"}
        about = {"program": "acme-friends", "referrer": "dexter", "referee": who, "order": order, "note": "mine"}
        bought = event("bought", "conversion.recorded", days_ago(40), _order("o-r1", who))
        await _tell(desk, bought, event("asked", "reward.requested", days_ago(30), about))
        await judge_all(desk)

    return bring


async def _exhausted(desk: Desk) -> None:
    """The budget is used up by another referral of the program."""
    await _under(('budget: "100000.00"', 'budget: "33.00"'))(desk)
    facts = life_of("r2")
    facts[0]["data"]["program"] = OTHER
    await _tell(desk, *facts)
    assert (await desk.decide("r1", "approve", "ann")).status_code == 201
    await desk.judge("r1")
    await desk.judge("r2")


async def judge_all(desk: Desk) -> None:
    """Judges every referral that there is, those too whose ids we did not choose."""
    async with desk.database.transaction() as connection:
        names = (await connection.execute(text("SELECT id FROM referral ORDER BY id"))).scalars().all()
    for name in names:
        await desk.judge(name)


async def _late(desk: Desk) -> None:
    await denied(desk)
    about = {"order": "o-r1", "kind": "refund", "amount": "1.00", "currency": "USD"}
    await _tell(desk, event("late", "conversion.reversed", days_ago(1), about))
    await desk.judge("r1")
    made = await desk.decide("r1", "reopen", "ann", reason="late_fact")
    assert made.status_code == 201, made.text
    await desk.judge("r1")


async def _unknown_referrer(desk: Desk) -> None:
    facts = life_of("r1")[1:]
    facts[0]["data"] |= {"program": "acme-friends", "referrer_code": "NOBODYS", "channel": "link"}
    del facts[0]["data"]["referral"]
    await _tell(desk, *facts)
    await judge_all(desk)


async def _linked(desk: Desk) -> None:
    who = {"email": "anna@example.com"}
    sent = {"referral": "r1", "program": "acme-friends", "referrer": "dexter", "channel": "lead", "referee": who}
    await _tell(desk, event("lead", "referral.sent", days_ago(50), sent))
    await desk.judge("r1")
    for name in ("ann", "ben"):
        made = await desk.decide("r1", "link", name, order="o-spare")
        assert made.status_code == 201, made.text
    await desk.judge("r1")


async def _adjusted(desk: Desk) -> None:
    await waiting(desk)
    made = await desk.decide("r1", "adjust", "paula", leg="referee", amount_minor=700)
    assert made.status_code == 201, made.text
    await desk.judge("r1")


async def waiting(desk: Desk) -> None:
    assert await desk.referral("r1") == ReferralStatus.AWAITING_APPROVAL


async def held(desk: Desk) -> None:
    await waiting(desk)
    assert (await desk.decide("r1", "hold", "ann")).status_code == 201
    assert await desk.judge("r1") == ReferralStatus.ON_HOLD


async def denied(desk: Desk) -> None:
    await waiting(desk)
    assert (await desk.decide("r1", "deny", "ann")).status_code == 201
    assert await desk.judge("r1") == ReferralStatus.DENIED


#: How a claim comes to each flag.
FLAGGED: Final[Mapping[Flag, Bring]] = {
    Flag.EVIDENCE_CONFLICT: _with("conversion.recorded", _order("o-r1", {"customer": "c-r1"}, amount="70.00"), at=40),
    Flag.SELF_REFERRAL: _self_referral,
    Flag.DUPLICATE_CLAIM: _duplicate,
    Flag.DISPUTED_ATTRIBUTION: _rival("mia"),
    Flag.ATTRIBUTION_CHANGED: _with(
        "attribution.changed", {"referral": "r1", "from_referrer": "dexter", "to_referrer": "mia", "reason": "hers"}
    ),
    Flag.CAP_LIMITED: _under(('budget: "100000.00"', 'budget: "30.00"')),
    Flag.BUDGET_EXHAUSTED: _exhausted,
    Flag.CONSENT_UNCLEAR: _changed(claimed={"consent": None}),
    Flag.UNRESOLVED_ISSUE: _with("customer.issue_opened", {"customer": {"customer": "c-r1"}, "issue": "case-5"}),
    Flag.ADVOCACY_NOT_PERMITTED: _under(("advocacy_permission_required: false", "advocacy_permission_required: true")),
    Flag.DISPUTE_OPEN: _with("conversion.dispute_opened", {"order": "o-r1", "amount": "80.00", "currency": "USD"}),
    Flag.CURRENCY_MISMATCH: _changed(bought={"currency": "EUR"}),
    Flag.CHECK_COULD_NOT_RUN: _requested("o-never-told"),
    Flag.PARTNER_EXCEPTION: _under(
        ("valid_from: 2026-01-01, valid_until: 2027-01-01", "valid_from: 2025-01-01"), referrer={"partner": "gold-7"}
    ),
    Flag.FRAUD_SUSPECTED: _under(("disposable_email: 25", "disposable_email: 50"), email="r1@mailinator.com"),
    Flag.PARTIAL_REFUND: _with(
        "conversion.reversed", {"order": "o-r1", "kind": "refund", "amount": "20.00", "currency": "USD"}
    ),
    Flag.MANUAL_REQUEST: _requested("o-r1"),
    Flag.LATE_FACT: _late,
    Flag.UNKNOWN_REFERRER: _unknown_referrer,
    Flag.LINKED_BY_HAND: _linked,
    Flag.ADJUSTED: _adjusted,
}
