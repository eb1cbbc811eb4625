"""Questions to outside sources about a referral, and the record of their answers."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import uuid4

from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from models import Inquiry
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.identity import links, of_kinds
from referral_rewards.domain.facts.orders import OrderName, name_of
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.referrals.case import Case
from referral_rewards.domain.referrals.conversions import Conversion
from referral_rewards.domain.referrals.inquiries import REGISTER, Answer, Answers, Question, SourceAnswer
from referral_rewards.domain.referrals.origin import referee_identity
from referral_rewards.domain.referrals.versions import OnRecord, ours


def question_of(case: Case) -> Question:
    """Return the question to ask before the claim of this case is judged: about its order and its referee."""
    q, sources = case.course.conversion, case.terms.sources
    return _question(case, q.name if q is not None else None, sources.customers, q)


async def open_report(connection: AsyncConnection, case: Case) -> Question | None:
    """Return the question about a reported conversion that no source has confirmed or was asked about; or None.

    The report itself never counts (SPEC §3). A program whose conversions only our register holds has no source to ask.
    """
    source = case.terms.sources.conversions
    referee = referee_identity(case.facts, case.now)
    reported = {name for fact in case.facts if fact.type is FactType.CONVERSION_REPORTED and (name := name_of(fact))}
    # A record of the referee is of the reported order, whichever store it names: one customer's are one order.
    told = {fact.order for fact in case.facts if _is_recorded(fact, referee)}
    if source == REGISTER:
        return None
    for order in sorted({name for name in reported if name.id not in told}, key=str):
        if not (await connection.execute(_ANSWERED, {"referral": case.row.id, "subject": str(order)})).scalar_one():
            return _question(case, order, None)
    return None


def _is_recorded(fact: Fact, referee: frozenset[str]) -> bool:
    return fact.type is FactType.CONVERSION_RECORDED and links(fact.identity, referee)


def from_outside(answers: Answers) -> Sequence[tuple[str, SourceAnswer]]:
    """Return the answers of outside sources, each with its subject. An answer from our own register is left out."""
    question = answers.question
    said = ((question.name, answers.conversion), (question.customer, answers.customer))
    return [
        (str(about), answer)
        for about, answer in said
        if about is not None and answer is not None and answer.source != REGISTER
    ]


async def linked_names(connection: AsyncConnection, source: str, order: OrderName) -> tuple[str, ...]:
    """Return a vendor's names that are linked to an order, as those of its payments, by code point. A link names no
    store where the source was given one by configuration."""
    asked = {"source": source, "order": order.id, "store": order.store}
    return tuple((await connection.execute(_NAMES, asked)).scalars())


async def note(
    connection: AsyncConnection, referral: str, said: Iterable[tuple[str, SourceAnswer]], moment: str, at: datetime
) -> None:
    """Record the answers of outside sources (see `from_outside`)."""
    for subject, answer in said:
        await connection.execute(
            insert(Inquiry).values(
                id=uuid4(),
                referral_id=referral,
                moment=moment,
                source=answer.source,
                subject=subject,
                asked_at=at,
                answer=answer.answer,
                sentence=answer.sentence,
                content_hash=answer.content_hash,
                ours=answer.ours.as_json() if answer.ours is not None and answer.theirs is not None else None,
                theirs=answer.theirs.as_json() if answer.theirs is not None else None,
            )
        )


def _question(case: Case, order: OrderName | None, customers: str | None, q: Conversion | None = None) -> Question:
    known = sorted(of_kinds(referee_identity(case.facts, case.now), ("customer",)))
    customer = known[0].removeprefix("customer:") if known else None
    return Question(
        referral=case.row.id,
        conversions=case.terms.sources.conversions,
        order=order.id if order is not None else None,
        store=order.store if order is not None else None,
        customers=customers,
        customer=customer if customers else None,
        on_record=OnRecord(
            ours=ours(q) if q is not None else None,
            facts=(*q.records, *q.told) if q is not None else (),
            until=case.course.return_ends,
            customer=customer,
        ),
    )


_ANSWERED: Final = text(f"""
SELECT EXISTS (
    SELECT 1 FROM inquiry WHERE referral_id = :referral AND subject = :subject AND answer <> '{Answer.UNAVAILABLE}'
)
""")  # noqa: S608 (a constant of ours)

_NAMES: Final = text("""
SELECT name FROM source_name
WHERE source = :source AND order_id = :order AND (store IS NULL OR store = CAST(:store AS text)) ORDER BY name
""")
