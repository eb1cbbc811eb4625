"""One payee: payment methods, tax forms, the year's totals, and the amounts on hold and owed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from models.statuses import spelled
from referral_rewards.domain import calendar
from referral_rewards.domain.claims.rewards import Side, destination
from referral_rewards.domain.errors import NotFound
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.payees import tax_forms, tax_thresholds
from referral_rewards.domain.payees.tax_forms import FormStanding, TaxForm
from referral_rewards.domain.payouts.states import OWED
from referral_rewards.domain.programs.terms import RewardKind
from referral_rewards.register.payees import rows as payees
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.reporting.payees.year import PaidInYear, paid_in
from referral_rewards.reporting.shape import GivenId, Instant, Shape

#: The most waiting or owed rewards that are listed; their number is always shown.
LEGS_SHOWN_MAX: Final = 200
_CLOCK: Final = calendar.zone("UTC")


class Method(Shape):
    """The payee's payment method on a rail: the provider's reference, no personal data."""

    rail: str
    reference: str
    since: Instant


class Form(Shape):
    """A tax form that the payee filed."""

    form: str
    filed_at: Instant
    valid_from: str | None
    withholding_percent: str
    readable: bool


class TaxStanding(Shape):
    """The standing of the payee's forms under a regime, and the year's total beside the threshold, in minor units.

    ``until`` is the moment from which the form is no longer valid.
    """

    regime: str
    standing: FormStanding
    form: str | None
    until: Instant | None
    withholding_percent: str
    threshold_minor: int
    currency: str
    counts_minor: int
    needs_form: bool
    source: str


class PaidByProgram(Shape):
    """The amount that a program paid in the year."""

    program: str
    currency: str
    amount_minor: int


class Rewards(Shape):
    """The totals of all the payee's rewards in one state and currency."""

    state: str
    currency: str
    legs: int
    amount_minor: int


class WaitingReward(Shape):
    """A reward that is not paid yet; one on ``tax_hold`` is judged again at ``wake_at``."""

    leg: UUID
    referral: GivenId
    program: str
    role: Side
    kind: RewardKind
    amount_minor: int
    currency: str
    rail: str
    state: str
    approved_at: Instant
    wake_at: Instant | None


class PayeeBalance(Shape):
    """The balance of one of the payee's accounts in the books: debit positive, credit negative."""

    account: str
    currency: str
    amount_minor: int


class PayeeShown(Shape):
    """Everything about a payee; ``counts_minor`` is the year's total for tax, by currency."""

    payee: GivenId
    year: int
    methods: tuple[Method, ...]
    forms: tuple[Form, ...]
    tax: tuple[TaxStanding, ...]
    counts_minor: dict[str, int]
    paid_in_year: tuple[PaidInYear, ...]
    paid_by_program: tuple[PaidByProgram, ...]
    rewards: tuple[Rewards, ...]
    waiting: tuple[WaitingReward, ...]
    balances: tuple[PayeeBalance, ...]


async def profile(connection: AsyncConnection, payee: str, now: datetime, year: int | None = None) -> PayeeShown:
    """Return everything about a payee, ids and references only.

    ``year`` is the calendar year of the totals, by default the current one in UTC.

    Raises:
        NotFound: if the payee has no approved reward, no payment method and no tax form.
    """
    present = now.astimezone(UTC).year
    year = year or present
    forms = sorted((await payees.forms(connection, [payee]))[payee], key=lambda form: form.precedence, reverse=True)
    said = [referrals.fact_of(row) for row in (await connection.execute(_METHODS, {"payee": payee})).all()]
    sums = (await connection.execute(_SUMS, {"payee": payee})).all()
    if not (forms or said or sums):
        raise NotFound("payee", payee)
    paid = [each async for each in paid_in(connection, year, now, payee=payee)]
    # Payouts under way count only in the current year.
    counted = {each.currency: each.total_minor for each in paid if each.total_minor}
    if year == present:
        counted = dict((await payees.totals(connection, [payee], year)).get(payee, {}))
    waiting = await connection.execute(_WAITING, {"payee": payee, "limit": LEGS_SHOWN_MAX})
    regimes = await payees.regimes(connection)
    accounts = [f"{kind}:{payee}" for kind in ("payable", "recoverable", "credit")]
    return PayeeShown(
        payee=payee,
        year=year,
        methods=_methods(said),
        forms=tuple(_form(form) for form in forms),
        # Where no program reports to an authority, nobody's form is missing.
        tax=tuple(
            _standing(regime, forms, counted, year, now)
            for regime in tax_thresholds.THRESHOLDS
            if forms or regime in regimes
        ),
        counts_minor=dict(sorted(counted.items())),
        paid_in_year=tuple(map(PaidInYear.of, paid)),
        paid_by_program=tuple(
            PaidByProgram(program=program, currency=currency, amount_minor=minor)
            for program, currency, minor in await payees.paid_by_program(connection, payee, year)
        ),
        rewards=tuple(Rewards.model_validate(row) for row in sums),
        waiting=tuple(WaitingReward.model_validate(row) for row in waiting),
        balances=tuple(
            PayeeBalance.model_validate(row) for row in await connection.execute(_BALANCES, {"accounts": accounts})
        ),
    )


def _methods(said: Sequence[Fact]) -> tuple[Method, ...]:
    """Return the method on file for each rail: the latest one set, unless it was removed since."""
    latest = {fact.data["rail"]: fact for fact in sorted(said, key=lambda fact: fact.precedence)}
    return tuple(
        Method(rail=rail, reference=destination(fact), since=fact.occurred_at)
        for rail, fact in sorted(latest.items())
        if fact.type == "payee.method_set"
    )


def _form(form: TaxForm) -> Form:
    return Form(
        form=form.form,
        filed_at=form.filed_at,
        valid_from=form.valid_from.isoformat() if form.valid_from else None,
        withholding_percent=str(form.withholding_percent),
        readable=form.readable,
    )


def _standing(
    regime: str, forms: Sequence[TaxForm], counted: Mapping[str, int], year: int, now: datetime
) -> TaxStanding:
    """Return the standing of the payee's forms under a regime, and the year's total beside the threshold."""
    on_file, limit = tax_forms.on_file(forms, regime, now, _CLOCK), tax_thresholds.threshold(regime, year)
    assert limit is not None
    return TaxStanding(
        regime=regime,
        standing=on_file.standing,
        form=on_file.form.form if on_file.form else None,
        until=on_file.until,
        withholding_percent=str(on_file.withholding_percent),
        threshold_minor=limit.minor,
        currency=limit.currency,
        counts_minor=counted.get(limit.currency, 0),
        needs_form=not on_file.clears
        and (counted.get(limit.currency, 0) >= limit.minor or bool(counted.keys() - {limit.currency})),
        source=limit.source,
    )


_METHODS: Final = text(f"""
SELECT f.*, true AS batch_finished, {referrals.TELLER}
FROM fact_key fk JOIN fact f ON f.id = fk.fact_id AND f.type IN ('payee.method_set', 'payee.method_removed')
WHERE fk.key = 'payee:' || CAST(:payee AS text)
""")  # noqa: S608 (words of ours alone)

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
