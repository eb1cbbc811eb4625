"""One payee: how they are paid, which tax forms they filed, what counts in their year, what is held and owed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain import calendar
from referral_rewards.domain.claims.rewards import destination
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.payees import tax_forms, tax_thresholds
from referral_rewards.domain.payees.tax_forms import TaxForm
from referral_rewards.domain.payouts.legs import OWED
from referral_rewards.register.payees import rows as payees
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.reporting.payees.year import PaidInYear, paid_in
from referral_rewards.reporting.plain_values import instant, plain

#: Of what waits or is owed no more than so many are named; how many there are is told.
LEGS_SHOWN_MAX: Final = 200
_CLOCK: Final = calendar.zone("UTC")


async def profile(connection: AsyncConnection, payee: str, now: datetime, year: int | None = None) -> dict[str, Any]:
    """Everything about a payee as JSON values, ids and references only; ``year`` is the calendar year of its totals, by
    default the present one in UTC.

    Raises:
        NotFound: if no reward was approved for anybody of that name, and nobody said how to pay them.
    """
    present = now.astimezone(UTC).year
    year = year or present
    forms = sorted((await payees.forms(connection, [payee]))[payee], key=lambda form: form.precedence, reverse=True)
    said = [referrals.fact_of(row) for row in (await connection.execute(_METHODS, {"payee": payee})).all()]
    sums = (await connection.execute(_SUMS, {"payee": payee})).all()
    if not (forms or said or sums):
        raise NotFound("payee", payee)
    paid = [each async for each in paid_in(connection, year, now, payee=payee)]
    # What is on its way would be paid now, and counts in no other year.
    counted = {each.currency: each.total_minor for each in paid if each.total_minor}
    if year == present:
        counted = dict((await payees.totals(connection, [payee], year)).get(payee, {}))
    return {
        "payee": payee,
        "year": year,
        "methods": _methods(said),
        "forms": [_form(form) for form in forms],
        "tax": [_standing(regime, forms, counted, year, now) for regime in tax_thresholds.THRESHOLDS],
        "counts_minor": dict(sorted(counted.items())),
        "paid_in_year": [_year(each) for each in paid],
        "paid_by_program": [
            {"program": program, "currency": currency, "amount_minor": minor}
            for program, currency, minor in await payees.paid_by_program(connection, payee, year)
        ],
        "rewards": [
            {"state": each.state, "currency": each.currency, "legs": each.legs, "amount_minor": int(each.amount_minor)}
            for each in sums
        ],
        "waiting": plain((await connection.execute(_WAITING, {"payee": payee, "limit": LEGS_SHOWN_MAX})).all()),
        "balances": [
            {"account": each.account, "currency": each.currency, "amount_minor": int(each.amount_minor)}
            for each in await connection.execute(
                _BALANCES, {"accounts": [f"{kind}:{payee}" for kind in ("payable", "recoverable", "credit")]}
            )
        ],
    }


def _methods(said: Sequence[Any]) -> list[dict[str, Any]]:
    """The method on file for each rail: the latest that was set, if it was not removed since."""
    latest = {fact.data["rail"]: fact for fact in sorted(said, key=lambda fact: fact.precedence)}
    return [
        {"rail": rail, "reference": destination(fact), "since": instant(fact.occurred_at)}
        for rail, fact in sorted(latest.items())
        if fact.type == "payee.method_set"
    ]


def _form(form: TaxForm) -> dict[str, Any]:
    return {
        "form": form.form,
        "filed_at": instant(form.filed_at),
        "valid_from": form.valid_from.isoformat() if form.valid_from else None,
        "withholding_percent": str(form.withholding_percent),
        "readable": form.readable,
    }


def _standing(
    regime: str, forms: Sequence[TaxForm], counted: Mapping[str, int], year: int, now: datetime
) -> dict[str, Any]:
    """What the payee's forms are worth under a regime, and how far the year is from its threshold."""
    on_file, limit = tax_forms.on_file(forms, regime, now, _CLOCK), tax_thresholds.threshold(regime, year)
    assert limit is not None
    return {
        "regime": regime,
        "standing": on_file.standing.value,
        "form": on_file.form.form if on_file.form else None,
        "until": instant(on_file.until),
        "withholding_percent": str(on_file.withholding_percent),
        "threshold_minor": limit.minor,
        "currency": limit.currency,
        "counts_minor": counted.get(limit.currency, 0),
        "needs_form": not on_file.clears
        and (counted.get(limit.currency, 0) >= limit.minor or bool(counted.keys() - {limit.currency})),
        "source": limit.source,
    }


def _year(each: PaidInYear) -> dict[str, Any]:
    return {
        "regime": each.regime,
        "currency": each.currency,
        "by_kind": dict(each.by_kind),
        "total_minor": each.total_minor,
        "reportable": each.reportable,
        "withheld_minor": each.withheld_minor,
        "clawed_back_minor": each.clawed_back_minor,
    }


_METHODS: Final = text("""
SELECT f.*, true AS batch_finished
FROM fact_key fk JOIN fact f ON f.id = fk.fact_id AND f.type IN ('payee.method_set', 'payee.method_removed')
WHERE fk.key = 'payee:' || CAST(:payee AS text)
""")

_SUMS: Final = text("""
SELECT state, currency, count(*) AS legs, sum(amount_minor) AS amount_minor
FROM leg WHERE beneficiary = :payee GROUP BY state, currency ORDER BY state, currency
""")

_WAITING: Final = text(
    spelled(
        """
SELECT l.id AS leg, l.referral_id AS referral, l.program, l.role, l.kind, l.amount_minor, l.currency, l.rail, l.state,
       l.approved_at, r.wake_at
FROM leg l JOIN referral r ON r.id = l.referral_id
WHERE l.beneficiary = :payee AND l.state IN :owed
ORDER BY l.state DESC, l.approved_at, l.id LIMIT :limit
""",
        owed=OWED,
    )
)

_BALANCES: Final = text("""
SELECT account, currency, sum(amount_minor) AS amount_minor FROM posting
WHERE account = ANY(CAST(:accounts AS text[])) GROUP BY account, currency HAVING sum(amount_minor) <> 0
ORDER BY account, currency
""")
