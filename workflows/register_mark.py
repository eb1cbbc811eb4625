"""Keeps the register's mark outside of the register: by it a restored register knows that it lost something."""

from typing import Any, Final

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from pydantic import TypeAdapter, ValidationError

    from referral_rewards.domain.restores.mark import Mark, raised
    from referral_rewards.workflow_ids import MEMO_OF_MARK

    _MARK: Final = TypeAdapter(Mark)

#: Marks that one run takes before another continues it; far below the limit of a history.
_MARKS_A_RUN: Final = 200


@workflow.defn(name="RegisterMark", versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class RegisterMark:
    """Holds the highest mark that it was told. It never ends, so that no retention deletes it.

    The mark is in the memo: a process reads it while no worker runs, before it serves anything.
    """

    @workflow.init
    def __init__(self, kept: Mark | None = None) -> None:
        self._kept = kept
        self._told = 0

    @workflow.run
    async def run(self, kept: Mark | None = None) -> None:
        await workflow.wait_condition(self._is_long)
        # The next run shows the mark from its first moment on.
        workflow.continue_as_new(self._kept, memo={MEMO_OF_MARK: self._kept} if self._kept else {})

    @workflow.signal
    def raise_to(self, *told: Any) -> None:
        """Take a mark over where it is higher. Anything that is no mark changes nothing."""
        self._told += 1
        try:
            mark = _MARK.validate_python(told[0] if told else None)
        except ValidationError:
            return
        kept = raised(self._kept, mark)
        if kept != self._kept:
            self._kept = kept
            workflow.upsert_memo({MEMO_OF_MARK: kept})

    @workflow.query
    def kept(self) -> Mark | None:
        return self._kept

    def _is_long(self) -> bool:
        return self._told >= _MARKS_A_RUN or workflow.info().is_continue_as_new_suggested()
