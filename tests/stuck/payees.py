"""Rewards whose payee has a payment method that nobody has bound: brought there by facts, letters and decisions."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import text

from tests.desk import Desk, event
from tests.register.crowd import enrolment, life
from tests.stuck.money import METHODS, Row
from tests.stuck.stage import Bring

PAYEE, RAIL, REFERRAL = "mira", "stripe_transfer", "m1"
PATH: Final = f"/v1/redirects?payee={PAYEE}&rail={RAIL}"
_TERMS: Final = f"""
program: friends
name: Friends
effective_from: 2025-01-01T00:00:00Z
timezone: UTC
currency: USD
periods: {{expiry: {{email: P30D}}, offer: P30D, grace: P30D, return: P14D}}
qualifying: {{kinds: [purchase]}}
rewards: {{referrer: {{kind: cash, amount: "25.00"}}}}
approval: {{routes: {{cash: [finance]}}}}
payouts: {{rails: {{cash: {RAIL}}}}}
"""


async def approved(desk: Desk) -> None:
    """A cash reward that was approved before its payee named an account."""
    await desk.publish(_TERMS)
    told = await desk.tell([*enrolment(PAYEE), *life(REFERRAL, PAYEE, referee="otto", order="o1")])
    assert told.is_success, told.text
    assert await desk.judge(REFERRAL) == "awaiting_approval"
    assert (await desk.decide(REFERRAL, "approve", "ann")).status_code == 201
    await desk.judge(REFERRAL)


async def sign(desk: Desk, user: str) -> Any:
    """Signs the redirect as it stands."""
    digest = (await desk.get(PATH, user)).json()["digest"]
    asked = {"payee": PAYEE, "rail": RAIL, "reason": "other", "note": "called back", "digest": digest}
    return await desk.api.post("/v1/redirects", json=asked, headers=desk.bearer(user))


def _named(*references: str, told_hours_ago: float | None = None, signed: str = "") -> Bring:
    async def bring(desk: Desk) -> None:
        for number, reference in enumerate(references):
            data = {"payee": PAYEE, "rail": RAIL, "reference": reference}
            at = text("SELECT now()")
            async with desk.database.transaction() as connection:
                now = (await connection.execute(at)).scalar_one()
            assert (await desk.tell([event(f"s-{reference}-{number}", "payee.method_set", now, data)])).is_success
            await desk.judge(REFERRAL)
        if told_hours_ago is not None:
            async with desk.database.transaction() as connection:
                assert (await connection.execute(_DELIVERED, {"hours": told_hours_ago})).all()
        if signed:
            assert (await sign(desk, signed)).status_code == 201

    return bring


async def _released_again(desk: Desk) -> None:
    """Its payment was refused and then retried; meanwhile the payee named another account."""
    await _named(_FIRST)(desk)
    assert (await sign(desk, "ben")).status_code == 201
    await desk.judge(REFERRAL)
    async with desk.database.transaction() as connection:
        assert (await connection.execute(_RELEASED)).all()
    await _named(_OTHER, told_hours_ago=25)(desk)


_RELEASED: Final = text(f"""
UPDATE payout SET generation = 2, first_sent_at = now(), provider_key = id || '-2' WHERE payee = '{PAYEE}' RETURNING id
""")
_FIRST, _OTHER = "acct_mira1", "acct_other9"
_DELIVERED: Final = text("""
UPDATE notice SET state = 'sent', due_at = NULL, settled_at = now() - make_interval(hours => :hours)
WHERE template = 'method_changed' RETURNING id
""")

_BRINGS: Final = (
    _named(_FIRST),
    _named(_FIRST, _OTHER, told_hours_ago=25),
    _named(_FIRST, _OTHER, told_hours_ago=25, signed="ann"),
    _named(_FIRST, _OTHER, told_hours_ago=1),
    _named(_FIRST, _OTHER),
    _named("no-account"),
    _released_again,
)
#: How a reward comes to stand there.
WAITING: Final[Mapping[Row, Bring]] = dict(zip(METHODS, _BRINGS, strict=True))
