"""Record what a referrer or referee sends from their status page, as facts: an appeal or a satisfaction rating."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.errors import DecisionRefused, RequestInvalid, TooManyMessages
from referral_rewards.domain.facts.events import parse_event
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.domain.referrals.referral import Referral
from referral_rewards.register.facts.intake import Intake
from referral_rewards.register.locks import Lock, lock
from referral_rewards.register.notices import surveys

#: The source of facts that come from status pages.
SOURCE: Final = "status-page"
#: The statuses that can be appealed.
APPEALABLE: Final = frozenset({ReferralStatus.DENIED, ReferralStatus.EXPIRED})
#: The statuses in which people say how satisfied they are: their reward was paid, or there is none.
RATEABLE: Final = frozenset({ReferralStatus.REWARDED, ReferralStatus.DENIED})
WORDS_MAX: Final = 2000
_A_DAY: Final = timedelta(days=1)
#: The most appeals from one side of a referral in a day, because a person has to read them.
_APPEALS_MAX: Final = 3


async def appeal(
    connection: AsyncConnection, intake: Intake, row: Referral, side: Side, *, why: str, form: str, now: datetime
) -> None:
    """Record an appeal, once for each ``form``: if it is sent twice, the first one counts.

    Raises:
        RequestInvalid: if the reason is missing or too long, or the form was not issued by this page.
        DecisionRefused: if the referral is not closed as denied or expired.
        TooManyMessages: if this side has appealed too often today.
    """
    why = why.strip()
    if not why or len(why) > WORDS_MAX:
        raise RequestInvalid(f"enter your reason in at most {WORDS_MAX:,} characters", "why")
    if not (form.isascii() and form.isalnum() and 16 <= len(form) <= 64):
        raise RequestInvalid("this page is out of date; reload it and try again", "form")
    if row.status not in APPEALABLE or row.closed_at is None:
        raise DecisionRefused(row.id, "not_appealable", "there is nothing to appeal")
    await lock(connection, Lock.STATUS_PAGE, f"{row.id}/{side}")
    name = f"{row.id}/{side}/{form}"
    asked = {"source": SOURCE, "event": name}
    if (await connection.execute(_KNOWN, asked)).scalar_one():
        return
    so_far = (await connection.execute(_APPEALS, {"referral": row.id, "by": side, "since": now - _A_DAY})).scalar_one()
    if so_far >= _APPEALS_MAX:
        raise TooManyMessages(int(_A_DAY.total_seconds()))
    data = {"referral": row.id, "by": side.value, "why": why}
    await _record(connection, intake, FactType.REFERRAL_APPEALED, name, data, now)


async def rate(
    connection: AsyncConnection, intake: Intake, row: Referral, side: Side, *, score: str, now: datetime
) -> None:
    """Record a satisfaction rating from 1 to 5, once for each side; the first one counts.

    Raises:
        RequestInvalid: for another score.
        DecisionRefused: before there was a reward or a denial to rate.
    """
    if score not in _SCORES:
        raise RequestInvalid("choose a number from 1 to 5", "score")
    if row.status not in RATEABLE:
        raise DecisionRefused(row.id, "not_rateable", "there is nothing to rate yet")
    await lock(connection, Lock.STATUS_PAGE, f"{row.id}/{side}")
    if not await surveys.answered(connection, row.id, side):
        data = {"referral": row.id, "by": side.value, "score": int(score)}
        await _record(connection, intake, FactType.SATISFACTION_RATED, _rating(row.id, side), data, now)


async def _record(
    connection: AsyncConnection, intake: Intake, kind: FactType, name: str, data: dict[str, Any], now: datetime
) -> None:
    document = {"specversion": "1.0", "id": name, "source": SOURCE, "type": kind.value, "time": now.isoformat()}
    await intake.record(connection, [parse_event({**document, "data": data})], received_at=now)


def _rating(referral: str, side: Side) -> str:
    return f"{referral}/{side}/rating"


_SCORES: Final = frozenset("12345")

_KNOWN: Final = text("SELECT EXISTS (SELECT 1 FROM fact WHERE source = :source AND event_id = :event)")

_APPEALS: Final = text("""
SELECT count(*) FROM referral_fact rf JOIN fact f ON f.id = rf.fact_id
WHERE rf.referral_id = :referral AND f.type = 'referral.appealed' AND f.source = 'status-page'
  AND f.data->>'by' = :by AND f.received_at > CAST(:since AS timestamptz)
""")
