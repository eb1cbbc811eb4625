"""The histories on record: how each was lived, and where it lies."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from tests.workflows import journeys
from tests.workflows.journeys import Journey

FOLDER: Final = Path(__file__).parent / "histories"
#: A payout over the queue of its provider, with a timer, a lost reply and a wake.
PAYOUT: Final = "payout_by_its_provider"
#: A payout cycle that is stopped, resumed and released.
CYCLE: Final = "payout_cycle"
#: A reconciliation of the books' own credits.
RECONCILIATION: Final = "reconciliation"
#: A program that is paused, resumed and ended at a time to come, which comes.
PROGRAM: Final = "program_life"
#: The register's mark: raised, told nothing new and nonsense, and carried on by a next run.
MARK: Final = "register_mark"
#: A pull of two pages, before which its source does not answer once.
PULL: Final = "source_pull"
#: Each way on record, by the name of its file; what belongs to one is `<name>.json` and `<name>.payout.json`.
WAYS: Final[dict[str, Callable[[Journey], Awaitable[None]]]] = {way.__name__: way for way in journeys.ENDS}
