"""What a process knows of its Temporal namespace: which of our search attributes it lacks.

Without one of them the server refuses every start of a referral's workflow. Nothing is lost meanwhile: the wake-ups
wait in the outbox, and are delivered once the attribute is there.
"""

from typing import Final

import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from referral_rewards.search_attributes import TYPE_NAMES, to_add

_log = structlog.get_logger("temporal")

#: A missing attribute is noticed, and its return, within so many seconds.
LOOK_SECONDS: Final = 10.0


class Namespace:
    """The namespace as it was found last. Before the first look nothing is known to be missing."""

    def __init__(self) -> None:
        self._name = ""
        self.missing: tuple[str, ...] = ()

    @property
    def problem(self) -> str | None:
        """Return one sentence that names what is missing and the command that adds it; None if nothing is."""
        if not self.missing:
            return None
        what = "the search attribute" if len(self.missing) == 1 else "the search attributes"
        names = ", ".join(self.missing)
        return f"the Temporal namespace {self._name} lacks {what} {names}; add it: {to_add(self.missing, self._name)}"

    async def look(self, client: Client) -> tuple[str, ...]:
        """Ask the server, log what changed, and return the names of the missing attributes.

        Raises:
            RPCError: if the server does not answer.
        """
        before, self._name = self.missing, client.namespace
        self.missing = await missing(client)
        if self.missing and self.missing != before:
            names, command = ", ".join(self.missing), to_add(self.missing, self._name)
            _log.error("search_attributes_missing", namespace=self._name, missing=names, add=command)
        if before and not self.missing:
            _log.info("search_attributes_complete", namespace=self._name)
        return self.missing


async def missing(client: Client) -> tuple[str, ...]:
    """Return which of our search attributes the client's namespace lacks.

    It asks a query by all of them, then by each: this needs no operator's permission, and reads what the server checks
    a start against.

    Raises:
        RPCError: if the server does not answer.
    """
    if await _knows(client, *TYPE_NAMES):
        return ()
    return tuple([name for name in TYPE_NAMES if not await _knows(client, name)])


async def _knows(client: Client, *names: str) -> bool:
    try:
        await client.count_workflows(" OR ".join(f"{name} IS NOT NULL" for name in names))
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT:
            return False
        raise
    return True
