"""The filters of the queue as SQL: the condition of each, the indexes that serve it, and the values to compare with."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.decisions.waiting import Waits
from referral_rewards.domain.errors import RequestInvalid
from referral_rewards.domain.money import exponent
from referral_rewards.domain.programs.terms import Role
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register.locks import array
from referral_rewards.reporting.lists.asked import Asked, zone_of
from referral_rewards.reporting.queue.filters import UNFLAGGED, Filters

Value = str | int | datetime | None


@dataclass(frozen=True, slots=True)
class Asking:
    """The user who searches, for the filter ``mine``."""

    user: str
    roles: frozenset[Role]


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter: its SQL condition, and the indexes that serve it.

    ``parts`` are conditions with the order of their index; the filter matches where any of them does. Without parts it
    has no index. If an index has the matching entries in the order of age, ``led`` is the condition to read it by,
    with the first column of its order, if that is another one.
    """

    sql: str
    parts: tuple[tuple[str, str], ...] = ()
    led: tuple[str, str | None] | None = None


_APPROVING: Final = frozenset(Role) - {Role.ADMINISTRATOR}
ENTRY: Final = "referral_id, exception, subject"
BY_AGE: Final = f"since, {ENTRY}"
#: An entry dated in the future is not listed yet.
BEGUN: Final = "since <= :now"


def conditions_of(filters: Filters, asking: Asking | None) -> Iterator[Condition]:
    """Yield the filters, the likely narrowest first. Literals in the SQL are our enum members, never user input."""
    if filters.q is not None:
        columns = ("referral_id", "referrer", "customer", "order_id")
        parts = tuple((f"{column} >= :q AND {column} < :q_end", column) for column in columns)
        yield Condition("(" + " OR ".join(sql for sql, _ in parts) + ")", parts)
    if filters.flag is not None:
        yield _by_age("flags = '{}'" if filters.flag == UNFLAGGED else f"flags @> '{{{filters.flag}}}'")
    if filters.exception is not None:
        yield _of_column("exception", ":exception")
    if filters.recommendation is not None:
        yield _of_column("recommendation", ":recommendation")
    if filters.route is not None:
        yield _by_age(f"routes @> '{{{filters.route.value}}}'")
    if filters.program is not None:
        yield _of_column("program", ":program")
    if filters.overdue:
        yield Condition("remind_at <= :now", (("remind_at <= :now", f"remind_at, {ENTRY}"),))
    if filters.older_than_days is not None:
        yield _by_age("since <= :until")
    if filters.since is not None:
        yield _by_age("since >= :begins")
    if filters.until is not None:
        yield _by_age("since < :ends")
    if filters.amount_min is not None or filters.amount_max is not None:
        sql = "currency = :currency AND amount_minor BETWEEN :least AND :most AND amount_minor > 0"
        yield Condition(sql, ((sql, f"currency, amount_minor, {ENTRY}"),))
    elif filters.currency is not None:
        yield Condition("currency = :currency")
    if filters.mine:
        if asking is not None and len(asking.roles & _APPROVING) == 1:
            (role,) = asking.roles & _APPROVING
            yield _by_age(f"routes @> '{{{role.value}}}'")
        yield _of_column("exception", f"'{Waits.APPROVAL}'")
        yield Condition(f"status = '{ReferralStatus.AWAITING_APPROVAL}' AND routes && CAST(:roles AS text[])")
        yield Condition(_UNSIGNED)


def _by_age(sql: str) -> Condition:
    return Condition(sql, ((sql, BY_AGE),), (sql, None))


def _of_column(column: str, value: str) -> Condition:
    """Return the condition for a value in a column.

    The index is read as a range of one value: with an equality PostgreSQL drops the column from the order, and may
    then read all entries by age to find the few with the value.
    """
    only = f"{column} >= {value} AND {column} <= {value}"
    return Condition(f"{column} = {value}", ((only, f"{column}, {BY_AGE}"),), (only, column))


async def values_of(
    connection: AsyncConnection, filters: Filters, asking: Asking | None, now: datetime
) -> dict[str, Value]:
    """Return the parameters of the conditions.

    Raises:
        RequestInvalid: for amounts without a currency, or ``mine`` without a user.
    """
    given: dict[str, Value] = {"now": now}
    if filters.q is not None:
        given |= {"q": filters.q, "q_end": filters.q + "\U0010ffff"}
    for name in ("exception", "recommendation", "program", "currency"):
        if (value := getattr(filters, name)) is not None:
            given[name] = str(value)
    if filters.older_than_days is not None:
        given["until"] = now - timedelta(days=filters.older_than_days)
    if any(filters.days):
        asked = Asked(filters.days, await zone_of(connection, filters.program))
        given |= {"begins": asked.begins_at, "ends": asked.ends_at}
    if filters.amount_min is not None or filters.amount_max is not None:
        currency = filters.currency or await _only_currency(connection, filters.program)
        scale = 10 ** exponent(currency)
        given |= {
            "currency": currency,
            "least": int(-(-(filters.amount_min or 0) * scale // 1)),
            "most": int(filters.amount_max * scale // 1) if filters.amount_max is not None else 2**62,
        }
    if filters.mine:
        if asking is None:
            raise RequestInvalid("needs somebody whose they are", "mine")
        given |= {"user": asking.user, "roles": array(sorted(asking.roles))}
    return given


async def _only_currency(connection: AsyncConnection, program: str | None) -> str:
    """Return the currency of the amounts if none is given: the only one in use."""
    found = (await connection.execute(_CURRENCIES, {"program": program})).scalars().all()
    if len(found) != 1:
        told = "needs a currency or a program: amounts of several currencies can't be compared"
        raise RequestInvalid(told, "amount_min")
    return str(found[0])


# An approval of the current claim. Here a row is enough; signatures are verified where they matter.
_UNSIGNED: Final = """
NOT EXISTS (
    SELECT 1 FROM decision d JOIN referral r ON r.id = d.referral_id AND r.claim_id = d.claim_id
    WHERE d.referral_id = seen.referral_id AND d.username = :user AND d.kind = 'approve' OFFSET 0)
"""

_CURRENCIES: Final = text("""
SELECT DISTINCT terms->>'currency' FROM program_version WHERE CAST(:program AS text) IS NULL OR program = :program
""")
