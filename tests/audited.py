"""With ``--audited`` each register that a test leaves behind is audited before it is dropped: honest lives are to have
no finding, whatever they prove otherwise. `make chaos` asks for it."""

import re
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from models.session import Database
from referral_rewards.audit.findings import Finding
from referral_rewards.audit.loading import Means, published
from referral_rewards.audit.money.loading import Scope
from referral_rewards.audit.money.walk import Audited, walked
from referral_rewards.register.decisions.signing import Signer
from tests.snapshots import farewells

#: Shown of one register at most.
_SHOWN: Final = 10
#: What is found of the dates of two clocks, of which a test drives Temporal's by hand.
_OF_CLOCKS: Final = re.compile("is dated before step|before what it approves was assembled|after the first decision")


class Auditor:
    """Audits what tests leave behind, with the public keys of everybody who signed in the session.

    Whoever changes a register by hand, or signs what nobody decided, says so by the marker ``forges``.
    """

    def __init__(self) -> None:
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._is_forged = self._drives_the_clock = False

    def pytest_sessionstart(self) -> None:
        begin, keys = Signer.__init__, self._keys

        def begun(self: Signer, *given: object) -> None:
            begin(self, *given)  # type: ignore[arg-type]
            keys[self.key_id] = self._key.public_key()

        pytest.MonkeyPatch().setattr(Signer, "__init__", begun)
        farewells.append(self.audit)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._is_forged = item.get_closest_marker("forges") is not None
        self._drives_the_clock = "temporal_env" in getattr(item, "fixturenames", ())

    async def audit(self, url: str) -> None:
        """Fails the test whose register an audit finds something in."""
        if self._is_forged:
            return
        database = Database.at(url)
        try:
            found = await findings(database, Means(self._keys))
        finally:
            await database.close()
        if self._drives_the_clock:
            found = [each for each in found if not _OF_CLOCKS.search(each.what)]
        assert found == [], "\n".join(f"{each.part} {each.where}: {each.what}" for each in found[:_SHOWN])


async def findings(database: Database, means: Means) -> list[Finding]:
    """Everything that an audit of each program finds in a register."""
    found: list[Finding] = []
    async with database.reading() as connection:
        for program in await published(connection):
            async for each in walked(connection, Scope(program), means):
                found += each.findings if isinstance(each, Audited) else (each,)
    return found
