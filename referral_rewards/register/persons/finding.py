"""Find all that is on record about one person, by ids and marks: what is sealed is not searched.

One hop, as everywhere (SPEC §3): the facts that name what was asked for say by what else the person is known, and the
facts that name one of these are theirs. Nothing is followed further, so that people who share a mailbox with somebody's
friend do not become one, and nothing leads on into what another customer is known by (`domain.persons.known`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards.domain.clawbacks.states import CaseState, ClawbackState
from referral_rewards.domain.payouts.states import LegState, PayoutState
from referral_rewards.domain.persons.erasing import Affairs
from referral_rewards.domain.persons.known import also_known, without_others
from referral_rewards.domain.referrals.lifecycle import ReferralStatus
from referral_rewards.register import typed_rows


@dataclass(frozen=True, slots=True)
class Known:
    """By what a person is known: ``marks`` (customer ids and keyed hashes), and ids as a referrer."""

    marks: frozenset[str] = frozenset()
    referrers: frozenset[str] = frozenset()

    @property
    def ids(self) -> frozenset[str]:
        """The ids that they may be paid under."""
        return self.referrers | {each.removeprefix("customer:") for each in self.marks if each.startswith("customer:")}

    @property
    def names(self) -> tuple[str, ...]:
        """The same as words that name nobody, sorted: they may stand on record."""
        return tuple(sorted(self.marks | {f"referrer:{each}" for each in self.referrers}))

    @classmethod
    def of_names(cls, names: Iterable[str]) -> "Known":
        """Return what `names` returned."""
        told = frozenset(names)
        own = frozenset(each for each in told if each.startswith("referrer:"))
        return cls(told - own, frozenset(each.removeprefix("referrer:") for each in own))


class FactOfPerson(NamedTuple):
    """A fact about a person, as it is kept."""

    id: UUID
    type: str
    source: str
    occurred_at: Any
    data: Mapping[str, Any]
    marks: Sequence[str]
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class Person:
    """What is on record of a person. ``left_out`` are marks that were told beside theirs and lead to somebody else, or
    may: nothing under them is here. ``referrals`` are those of which they are a side, ``letters``, ``handovers`` and
    ``notes`` are the ids under which texts are kept beside the facts."""

    known: Known
    left_out: frozenset[str]
    facts: tuple[FactOfPerson, ...]
    affairs: Affairs
    letters: tuple[UUID, ...]
    handovers: tuple[UUID, ...]
    notes: tuple[UUID, ...]

    @property
    def referrals(self) -> tuple[str, ...]:
        """The referrals of which they are a side."""
        return tuple(name for name, _ in self.affairs.referrals)

    @property
    def is_known(self) -> bool:
        """Whether anything is on record."""
        return bool(self.facts or self.affairs.referrals)


async def find(connection: AsyncConnection, asked: Known) -> Person:
    """Return what is on record of whoever is known by one of these."""
    first = await _facts(connection, asked)
    own = asked.referrers | _enrolled(first)
    hop = also_known(asked.marks, _marks(first))
    facts = await _facts(connection, Known(hop.known, own))
    narrowed = without_others(asked.marks, hop, _marks(facts))
    if narrowed.known != hop.known:
        facts = await _facts(connection, Known(narrowed.known, own))
    known = Known(narrowed.known, own | _enrolled(facts))
    given = {"marks": sorted(known.marks), "referrers": sorted(known.referrers), "ids": sorted(known.ids)}
    row = (await connection.execute(_AFFAIRS, given)).one()
    sides = {"sides": [each[0] for each in row.referrals], **given}
    beside = (await connection.execute(_BESIDE, sides)).one()
    said = await typed_rows.read(connection, FactOfPerson, _SAID_OF_SIDES, sides)
    known_ids = {each.id for each in facts}
    return Person(
        known=known,
        left_out=narrowed.left_out,
        facts=(*facts, *(each for each in said if each.id not in known_ids)),
        affairs=Affairs(
            referrals=tuple((name, ReferralStatus(status)) for name, status in row.referrals),
            legs=tuple((UUID(name), LegState(state)) for name, state in row.legs),
            payouts=tuple((UUID(name), PayoutState(state)) for name, state in row.payouts),
            cases=tuple((UUID(name), CaseState(state)) for name, state in row.cases),
            clawbacks=tuple((UUID(name), ClawbackState(state)) for name, state in row.clawbacks),
        ),
        letters=tuple(beside.letters),
        handovers=tuple(beside.handovers),
        notes=tuple(beside.notes),
    )


async def _facts(connection: AsyncConnection, known: Known) -> tuple[FactOfPerson, ...]:
    given = {"marks": sorted(known.marks), "referrers": sorted(known.referrers), "ids": sorted(known.ids)}
    return await typed_rows.read(connection, FactOfPerson, _FACTS, given)


def _marks(facts: Sequence[FactOfPerson]) -> list[frozenset[str]]:
    return [frozenset(each.marks) for each in facts]


def _enrolled(facts: Sequence[FactOfPerson]) -> frozenset[str]:
    return frozenset(str(each.data["referrer"]) for each in facts if each.type == "referrer.enrolled")


#: The facts about whoever has one of these marks or ids. Requests are filed under their referrer too, so that they are
#: found by the referrals that listen to the marks.
_FACTS: Final = text("""
WITH candidate AS (
    SELECT k.fact_id FROM unnest(CAST(:marks AS text[])) AS m(mark) JOIN fact_key k ON k.key = m.mark
    UNION
    SELECT k.fact_id FROM unnest(CAST(:marks AS text[])) AS m(mark) JOIN fact_key k ON k.key = 'enrolled:' || m.mark
    UNION
    SELECT rf.fact_id FROM unnest(CAST(:marks AS text[])) AS m(mark) JOIN referral_key rk ON rk.key = m.mark
    JOIN referral_fact rf ON rf.referral_id = rk.referral_id
    UNION
    SELECT k.fact_id FROM unnest(CAST(:ids AS text[])) AS i(id) JOIN fact_key k ON k.key = 'payee:' || i.id
    UNION
    SELECT k.fact_id
    FROM unnest(CAST(:referrers AS text[])) AS r(id) CROSS JOIN (SELECT DISTINCT program FROM program_version) AS p
    JOIN fact_key k ON k.key = 'referrer:' || p.program || '/' || r.id
)
SELECT f.id, f.type, f.source, f.occurred_at, f.data, f.marks, p.sealed
FROM candidate c JOIN fact f ON f.id = c.fact_id LEFT JOIN personal_data p ON p.subject_id = f.id
WHERE f.marks && CAST(:marks AS text[])
   OR f.type IN ('referrer.enrolled', 'referrer.suspended', 'referrer.reinstated')
      AND f.data->>'referrer' = ANY(CAST(:referrers AS text[]))
   OR f.type IN ('payee.method_set', 'payee.method_removed', 'payee.tax_form_filed')
      AND f.data->>'payee' = ANY(CAST(:ids AS text[]))
ORDER BY f.occurred_at, f.source, f.event_id
""")

_AFFAIRS: Final = text("""
WITH side AS MATERIALIZED (
    SELECT id, status FROM referral WHERE referrer = ANY(CAST(:referrers AS text[])) AND status IS NOT NULL
    UNION
    SELECT r.id, r.status FROM unnest(CAST(:marks AS text[])) AS m(mark) JOIN referral_key rk ON rk.key = m.mark
    JOIN referral r ON r.id = rk.referral_id WHERE r.status IS NOT NULL
), owed AS MATERIALIZED (
    SELECT id, state FROM leg WHERE beneficiary = ANY(CAST(:ids AS text[]))
)
SELECT (SELECT coalesce(json_agg(json_build_array(id, status) ORDER BY id), '[]') FROM side) AS referrals,
       (SELECT coalesce(json_agg(json_build_array(id, state) ORDER BY id), '[]') FROM owed) AS legs,
       (SELECT coalesce(json_agg(json_build_array(id, state) ORDER BY id), '[]') FROM payout
        WHERE payee = ANY(CAST(:ids AS text[]))) AS payouts,
       (SELECT coalesce(json_agg(json_build_array(c.id, c.state) ORDER BY c.id), '[]')
        FROM clawback_case c JOIN owed l ON l.id = c.leg_id) AS cases,
       (SELECT coalesce(json_agg(json_build_array(b.id, b.state) ORDER BY b.id), '[]')
        FROM clawback b WHERE b.payee = ANY(CAST(:ids AS text[]))) AS clawbacks
""")

#: Texts beside the facts: letters to them, what rails handed them, and what people noted on their referrals.
_BESIDE: Final = text("""
SELECT ARRAY(
    SELECT n.id FROM notice n JOIN referral r ON r.id = n.referral_id
    WHERE n.referral_id = ANY(CAST(:sides AS text[]))
      AND n.audience = CASE WHEN r.referrer = ANY(CAST(:referrers AS text[])) THEN 'referrer' ELSE 'referee' END
    ORDER BY n.id
) AS letters, ARRAY(
    SELECT h.id FROM payout p JOIN handover h ON h.payout_id = p.id WHERE p.payee = ANY(CAST(:ids AS text[]))
    ORDER BY h.id
) AS handovers, ARRAY(
    SELECT id FROM decision WHERE referral_id = ANY(CAST(:sides AS text[]))
    UNION
    SELECT id FROM set_aside WHERE referral_id = ANY(CAST(:sides AS text[]))
    ORDER BY id
) AS notes
""")

#: What a side said of its referral, and what was told of its orders: they name nobody in public.
_SAID_OF_SIDES: Final = text("""
SELECT f.id, f.type, f.source, f.occurred_at, f.data, f.marks, p.sealed
FROM referral r JOIN referral_fact rf ON rf.referral_id = r.id JOIN fact f ON f.id = rf.fact_id
LEFT JOIN personal_data p ON p.subject_id = f.id
WHERE r.id = ANY(CAST(:sides AS text[]))
  AND (f.type IN ('referral.withdrawn', 'referral.appealed', 'conversion.reported', 'satisfaction.rated')
       AND coalesce(f.data->>'by', 'referee')
           = CASE WHEN r.referrer = ANY(CAST(:referrers AS text[])) THEN 'referrer' ELSE 'referee' END
       OR f.type IN ('conversion.amended', 'conversion.reversed', 'conversion.reversal_failed',
                     'conversion.dispute_opened', 'conversion.dispute_closed')
       AND NOT coalesce(r.referrer = ANY(CAST(:referrers AS text[])), false))
ORDER BY f.occurred_at, f.source, f.event_id
""")
