"""What a payout costs the database: few transactions, and under its locks no row is read twice."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from sqlalchemy import Engine, event
from temporalio.testing import WorkflowEnvironment

from referral_rewards.domain.payouts.states import PayoutState
from tests.rails.sending import Sending, live_until_approved, on_stage
from tests.snapshots import Snapshots
from tests.statements import counted

#: What carries out decisions, what commits the attempt, and what notes the answer.
_TRANSACTIONS: Final = 3
_STATEMENTS_MAX: Final = 18
#: By terms that weigh no signals, which are what a claim's judgement reads most for.
_PLAIN_MAX: Final = 14


async def test_a_payout_takes_few_statements(transfer: Sending) -> None:
    """Of the whole activity, from its start to its end; judging the claim again is most of it."""
    with counted() as sent:
        assert (await transfer.step()).state == PayoutState.SETTLED
    assert (sent.commits, len(sent.statements) <= _STATEMENTS_MAX) == (_TRANSACTIONS, True), sent


async def test_a_payout_by_plain_terms_takes_few_statements(
    snapshots: Snapshots, temporal_env: WorkflowEnvironment
) -> None:
    lived = partial(live_until_approved, "stripe_transfer", environment=temporal_env, weighs_signals=False)
    async with (
        snapshots.of(lived) as (url, signer),
        on_stage("stripe_transfer", url, signer, temporal_env) as plain,
    ):
        with counted() as sent:
            assert (await plain.step()).state == PayoutState.SETTLED
    assert (sent.commits, len(sent.statements) <= _PLAIN_MAX) == (_TRANSACTIONS, True), sent


async def test_a_payout_reads_nothing_twice_under_its_locks(transfer: Sending) -> None:
    with _listening() as transactions:
        assert (await transfer.step()).state == PayoutState.SETTLED
    made = [statements for statements in transactions if statements]
    assert [each for statements in made for each, times in Counter(statements).items() if times > 1] == []
    assert len(made) == _TRANSACTIONS


@contextmanager
def _listening() -> Iterator[list[list[tuple[str, str]]]]:
    """The statements of each transaction, with their parameters, one transaction after the other."""
    transactions: list[list[tuple[str, str]]] = []

    def begun(_: Any) -> None:
        transactions.append([])

    def said(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        transactions[-1].append((statement, repr(parameters)))

    event.listen(Engine, "begin", begun)
    event.listen(Engine, "before_cursor_execute", said)
    try:
        yield transactions
    finally:
        event.remove(Engine, "begin", begun)
        event.remove(Engine, "before_cursor_execute", said)
