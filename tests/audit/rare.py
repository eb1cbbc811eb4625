"""Lives that few rewards have, all on one desk: a partner's rate, tax withheld, a referral that was moved, what was
taken back and returned, a payee who was paid below the minimum, and decisions under a key that was retired since."""

from typing import Any, Final

from referral_rewards.domain.decisions.money_acts import MoneyAct, SubjectKind
from referral_rewards.domain.programs.terms import Role
from referral_rewards.register.decisions.signing import KeyRing, KeyStatus, Signer
from tests.audit.paid import Cashier, cashier_of
from tests.audit.settled import approve_and_pay
from tests.desk import PROGRAM, Desk, days_ago, event, life_of
from tests.register.cycling import Cycling

ACME: Final = "acme-friends"
#: A first reward alone reaches the threshold of the tax; all is paid by account credit, which paula approves.
_TERMS: Final = (
    PROGRAM.replace('{from_rewarded: 0, amount: "25.00"}', '{from_rewarded: 0, amount: "2500.00"}')
    .replace('amount: "1000.00", period: P1Y', 'amount: "90000.00", period: P1Y')
    .replace('four_eyes_from: "500.00"', 'four_eyes_from: "9000.00"')
    .replace("effective_from: 2025-01-01", "effective_from: 2025-01-02")
)
#: What signed the first of these lives' decisions, and what signs the others.
KEYS: Final = (Signer.generate(), Signer.generate())


def key_ring() -> KeyRing:
    """The keys as they are published once the first was retired."""
    retired, active = (each.public_entry() for each in KEYS)
    return KeyRing.of([{**retired, "status": KeyStatus.RETIRED}, active])


async def lived(desk: Desk) -> None:
    """Every one of these lives, to its end."""
    await desk.add_user("felix", Role.FINANCE)
    await desk.publish(_TERMS)
    _sign_with(desk, 0)
    await _by_a_partner(desk)
    await _with_tax_withheld(desk)
    _sign_with(desk, 1)
    await _moved(desk)
    async with cashier_of(desk) as cashier:
        await _returned(cashier)
    await _below_the_minimum(desk)


def _sign_with(desk: Desk, key: int) -> None:
    object.__setattr__(desk.parts, "signer", KEYS[key])
    object.__setattr__(desk.parts, "keys", key_ring())


def _enrolled(name: str, **more: Any) -> dict[str, Any]:
    data = {"referrer": name, "program": ACME, "customer": f"c-{name}", "email": f"{name}@example.com", **more}
    return event(f"e-{name}", "referrer.enrolled", days_ago(300), data)


def _form(payee: str) -> dict[str, Any]:
    said = {"payee": payee, "form": "W-9", "valid_from": "2026-01-01", "withholding_percent": "24"}
    return event(f"form-{payee}", "payee.tax_form_filed", days_ago(100), said)


def _life(name: str, referrer: str) -> list[dict[str, Any]]:
    sent, *others = life_of(name)
    return [{**sent, "data": {**sent["data"], "referrer": referrer}}, *others]


async def _told(desk: Desk, *facts: dict[str, Any]) -> None:
    told = await desk.tell(list(facts))
    assert told.status_code == 202, told.text


async def _by_a_partner(desk: Desk) -> None:
    await _told(desk, _enrolled("gina", partner="gold-7"), *_life("partner", "gina"))
    await desk.judge("partner")
    await approve_and_pay(desk, "partner")


async def _with_tax_withheld(desk: Desk) -> None:
    await _told(desk, _form("dexter"), *life_of("taxed"))
    await desk.judge("taxed")
    await approve_and_pay(desk, "taxed")


async def _moved(desk: Desk) -> None:
    changed = {"referral": "moved", "from_referrer": "gina", "to_referrer": "mia", "reason": "typo"}
    await _told(desk, _enrolled("mia"), _form("mia"), *_life("moved", "gina"))
    await desk.judge("moved")
    await _told(desk, event("moved-4", "attribution.changed", days_ago(30), changed))
    await desk.judge("moved")
    for user in ("oscar", "paula"):
        answer = await desk.decide("moved", "reassign", user, referrer="mia")
        assert answer.status_code == 201, answer.text
        await desk.judge("moved")
    await approve_and_pay(desk, "moved")


async def _returned(cashier: Cashier) -> None:
    await _told(cashier.desk, *_life("returned", "gina"))
    await cashier.desk.judge("returned")
    await approve_and_pay(cashier.desk, "returned")
    cases = await cashier.refunded("returned")
    await cashier.take(cases["referee"], MoneyAct.REVERSE_CLAWBACK, 800)
    await cashier.act(SubjectKind.CLAWBACK_CASE, cases["referee"], MoneyAct.RETURN_CLAWBACK, amount_minor=500)
    (back,) = await cashier.sql("SELECT id FROM payout WHERE returns IS NOT NULL")
    assert await cashier.step(back.id) == "settled"


async def _below_the_minimum(desk: Desk) -> None:
    began = days_ago(59)
    terms = _TERMS.replace("timing: immediate", 'timing: {cycle: monthly, day: 15, minimum: "9000.00"}')
    await desk.publish(terms.replace("effective_from: 2025-01-02T00:00:00Z", f"effective_from: {began.isoformat()}"))
    sent, *others = life_of("leaving")
    await _told(desk, {**sent, "time": began.isoformat()}, *others)
    await desk.judge("leaving")
    assert (await desk.decide("leaving", "approve")).status_code == 201
    assert await desk.judge("leaving") == "approved"
    shown = (await desk.get(f"/v1/cycles/below-minimum?program={ACME}&payee=dexter", "fiona")).json()
    asked = {"program": ACME, "payee": "dexter", "reason": "payee_leaves", "note": "Left.", "digest": shown["digest"]}
    made = await desk.api.post("/v1/cycles/below-minimum", json=asked, headers=desk.bearer("fiona"))
    assert made.status_code == 201, made.text
    cycling, cycle = Cycling(desk), made.json()["cycle"]
    assert await cycling.settle(cycle) == "frozen"
    assert await cycling.decided(cycle, MoneyAct.RELEASE_CYCLE) == "released"
    assert await cycling.send(cycle) == {"dexter": "settled"}
    await cycling.settle(cycle)
    await desk.judge("leaving")
