"""Check whether a courtesy message would reach a person at a bad time, by all that the register knows of them now."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards import personal
from referral_rewards.domain.claims.checks_of_conversion import no_open_dispute
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.findings import Result
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.notices import contact
from referral_rewards.domain.referrals.case import Case
from referral_rewards.register.notices.rows import Audience
from referral_rewards.register.payees import emails
from referral_rewards.register.payees.emails import ADDRESS_MARK
from referral_rewards.register.people import users
from referral_rewards.register.referrals import rows as referrals

_ABOUT_A_PERSON: Final = (
    *(FactType.ISSUE_OPENED, FactType.ISSUE_RESOLVED),
    *(FactType.CONSENT_GRANTED, FactType.CONSENT_WITHDRAWN),
)


async def objection(connection: AsyncConnection, case: Case, side: Side) -> str | None:
    """Return in one sentence why that side must get no courtesy message now; None if it may."""
    dossier = Dossier(case.row.id, case.version, case.terms, case.origin, case.course, case.facts, case.now)
    disputed = no_open_dispute(dossier)
    dispute = disputed.sentence if disputed.result is Result.FAILED else None
    said: Sequence[Fact]
    if side is Side.REFEREE:
        said = (*dossier.of_referee(*_ABOUT_A_PERSON), *dossier.of(FactType.REFERRAL_CLAIMED))
    else:
        said = await _about_referrer(connection, case)
    return contact.objection(side, said, dispute=dispute)


async def _about_referrer(connection: AsyncConnection, case: Case) -> Sequence[Fact]:
    """Return the facts about the person who enrolled as this referrer; they are not linked to the referral."""
    key = f"referrer:{case.origin.program}/{case.origin.referrer}"
    rows = await connection.execute(_SAID, {"key": key, "types": list(_ABOUT_A_PERSON)})
    return sorted((referrals.fact_of(row) for row in rows), key=lambda fact: fact.precedence)


_SAID: Final = text(f"""
SELECT DISTINCT ON (f.id) f.id, f.source, f.event_id, f.type, f.occurred_at, f.received_at, f.data, f.marks, f.digest,
       true AS batch_finished, {referrals.TELLER}
FROM (SELECT fact_id FROM fact_key WHERE key = :key OFFSET 0) AS own
CROSS JOIN LATERAL (SELECT marks FROM fact WHERE id = own.fact_id AND type = 'referrer.enrolled' OFFSET 0) AS enrolled
CROSS JOIN LATERAL unnest(enrolled.marks) AS mark(key)
CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = mark.key OFFSET 0) AS told
CROSS JOIN LATERAL (SELECT * FROM fact WHERE id = told.fact_id AND type = ANY(CAST(:types AS text[])) OFFSET 0) AS f
WHERE split_part(mark.key, ':', 1) IN ('customer', 'email', 'phone')
""")  # noqa: S608 (words of ours alone)


async def address_of(
    connection: AsyncConnection, audience: Audience, recipient: str, *, referral: str, program: str
) -> str | None:
    """Return the newest reported email address of a referrer or referee, or a user's own; None if there is none."""
    match audience:
        case Audience.APPROVERS | Audience.ACCOUNT:
            return await users.contact(connection, recipient)
        case Audience.REFERRER:
            statement, asked = _OF_REFERRER, {"key": f"referrer:{program}/{recipient}"}
        case Audience.REFEREE:
            statement, asked = _OF_REFEREE, {"referral": referral}
        case Audience.WEBHOOK:
            return None
    row = (await connection.execute(statement, asked)).one_or_none()
    return None if row is None else emails.of(FactType(row.type), personal.body_of(connection, row.id, row.sealed))


_OF_REFERRER: Final = text(f"""
SELECT f.id, f.type, p.sealed
FROM fact_key k JOIN fact f ON f.id = k.fact_id JOIN personal_data p ON p.subject_id = f.id
WHERE k.key = :key AND f.type = 'referrer.enrolled' AND p.sealed IS NOT NULL AND EXISTS ({ADDRESS_MARK})
ORDER BY f.occurred_at DESC, f.source DESC, f.event_id DESC LIMIT 1
""")  # noqa: S608 (words of ours alone)

_OF_REFEREE: Final = text(f"""
SELECT f.id, f.type, p.sealed
FROM referral_fact rf JOIN fact f ON f.id = rf.fact_id JOIN personal_data p ON p.subject_id = f.id
WHERE rf.referral_id = :referral AND f.type IN ('referral.sent', 'referral.claimed', 'reward.requested')
  AND p.sealed IS NOT NULL AND EXISTS ({ADDRESS_MARK})
ORDER BY f.type = 'referral.claimed' DESC, f.occurred_at DESC, f.source DESC, f.event_id DESC LIMIT 1
""")  # noqa: S608 (words of ours alone)
