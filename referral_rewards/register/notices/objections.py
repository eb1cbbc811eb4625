"""Whether a courtesy would come at a bad time for somebody, by everything that the register knows of them now."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.claims.checks_of_conversion import no_open_dispute
from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.findings import Result
from referral_rewards.domain.claims.rewards import Side
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.notices import contact
from referral_rewards.register.referrals import rows as referrals
from referral_rewards.register.referrals.cases import Case

_ABOUT_A_PERSON: Final = (
    *(FactType.ISSUE_OPENED, FactType.ISSUE_RESOLVED),
    *(FactType.CONSENT_GRANTED, FactType.CONSENT_WITHDRAWN),
)


async def objection(connection: AsyncConnection, case: Case, side: Side) -> str | None:
    """Why that side is not to be written to for courtesy now, in one sentence, or None."""
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
    """What was told of the person who enrolled as this referrer, whom the referral itself does not hear of."""
    key = f"referrer:{case.origin.program}/{case.origin.referrer}"
    rows = await connection.execute(_SAID, {"key": key, "types": list(_ABOUT_A_PERSON)})
    return sorted((referrals.fact_of(row) for row in rows), key=lambda fact: fact.precedence)


_SAID: Final = text("""
SELECT DISTINCT ON (f.id) f.id, f.source, f.event_id, f.type, f.occurred_at, f.received_at, f.data, f.marks, f.digest,
       true AS batch_finished
FROM (SELECT fact_id FROM fact_key WHERE key = :key OFFSET 0) AS own
CROSS JOIN LATERAL (SELECT marks FROM fact WHERE id = own.fact_id AND type = 'referrer.enrolled' OFFSET 0) AS enrolled
CROSS JOIN LATERAL unnest(enrolled.marks) AS mark(key)
CROSS JOIN LATERAL (SELECT fact_id FROM fact_key WHERE key = mark.key OFFSET 0) AS told
CROSS JOIN LATERAL (SELECT * FROM fact WHERE id = told.fact_id AND type = ANY(CAST(:types AS text[])) OFFSET 0) AS f
WHERE split_part(mark.key, ':', 1) IN ('customer', 'email', 'phone')
""")
