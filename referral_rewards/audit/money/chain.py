"""The chain of decisions, from its first to its signed end: numbers, links, hashes, signatures and notes.

Of the product nothing is shared but the public keys; what is signed is written down in `signed`.
"""

import hashlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from referral_rewards import personal
from referral_rewards.audit.canonical import canonical
from referral_rewards.audit.findings import Finding, Part
from referral_rewards.audit.money.records import Made
from referral_rewards.audit.money.streaming import rows
from referral_rewards.audit.signed import Keys, is_signed, signed
from referral_rewards.domain.errors import SealBroken

BEGINNING: Final = "0" * 64


@dataclass(slots=True)
class Chain:
    """What was read of the chain: how many decisions, the last hash, and the ids of those that prove nothing."""

    decisions: int = 0
    last: str = BEGINNING
    disbelieved: set[UUID] = field(default_factory=set)
    _hashes: set[str] = field(default_factory=set)

    async def findings(self, connection: AsyncConnection, keys: Keys) -> AsyncGenerator[Finding]:
        """Yield what is wrong with the chain as a whole. It is read once, in order."""
        async with rows(connection, _EVERY) as every:
            async for row in every:
                made = _made(dict(row._mapping))
                for what in (
                    *self._link(made, keys),
                    *_note(
                        made, row.commitment, personal.opened_or_broken(connection, made.id, row.sealed), row.erased
                    ),
                ):
                    yield _finding(what, f"decision {made.seq}")
        for what in self._end((await connection.execute(_HEAD)).all(), keys):
            yield _finding(what, "decision_head 1")
        async with rows(connection, _LOOSE_EFFECTS) as loose:
            async for row in loose:
                yield _finding("an effect of a decision that is not on record", f"decision_effect {row.decision_id}")

    def _link(self, made: Made, keys: Keys) -> Iterator[str]:
        self.decisions += 1
        if made.seq != self.decisions:
            yield f"decision {self.decisions} is missing; the next on record is {made.seq}"
            self.decisions = made.seq
        message = canonical(signed(made))
        hashed = hashlib.sha256(message).hexdigest()
        if hashed != made.hash:
            yield f"it does not say what was signed: its hash is {made.hash[:12]}…; right would be {hashed[:12]}…"
        elif not is_signed(keys, made.key_id, message, made.signature):
            yield f"no key that is trusted signed it (key {made.key_id})"
        elif made.previous_hash != self.last and made.previous_hash not in self._hashes:
            yield "it does not follow the decision before it"
        else:
            self.last = made.hash
            return
        self.disbelieved.add(made.id)
        # The next decision may be linked to it, as that of a key that was revoked since.
        self._hashes.add(made.hash)

    def _end(self, heads: Sequence[Row[Any]], keys: Keys) -> Iterator[str]:
        if not heads:
            if self.decisions:
                yield "the end of the chain is not signed"
            return
        head = heads[0]
        if head.id != 1 or len(heads) > 1:
            yield "it is not the one row that a chain's end is"
        if (head.seq, head.hash) != (self.decisions, self.last) and head.hash not in self._hashes:
            yield f"the signed end is decision {head.seq}; on record is decision {self.decisions}"
        if not is_signed(keys, head.key_id, canonical({"head": head.seq, "hash": head.hash}), head.signature):
            yield f"no key that is trusted signed the end of the chain (key {head.key_id})"


def _note(made: Made, commitment: str | None, note: personal.Opened | SealBroken | None, erased: bool) -> Iterator[str]:
    """A note is the one that was signed; of one that was erased only the commitment remains."""
    if commitment != made.note_commitment:
        yield "its note is not the one that was signed"
    elif isinstance(note, SealBroken):
        yield f"its note is sealed and does not open: {note}"
    elif note is not None:
        if hashlib.sha256(note.salt + canonical(note.body)).hexdigest() != commitment:
            yield "its note was changed since it was signed"
        if erased:
            yield "its note counts as erased, and is still there"
    elif not erased:
        yield "its note is missing, though nobody erased it"


def _made(row: Mapping[str, object]) -> Made:
    names = Made.__dataclass_fields__
    return Made(**{name: row[name] for name in names if name in row}, effects=(), barred_position=None)  # type: ignore[arg-type]


def _finding(what: str, where: str) -> Finding:
    return Finding(part=Part.DECISION_CHAIN, what=what, where=where)


_EVERY: Final = text("""
SELECT d.*, n.commitment, n.sealed, n.erased_at IS NOT NULL AS erased
FROM decision d LEFT JOIN personal_data n ON n.subject_id = d.id ORDER BY d.seq
""")

_HEAD: Final = text("SELECT * FROM decision_head ORDER BY id LIMIT 2")

_LOOSE_EFFECTS: Final = text("""
SELECT e.decision_id FROM decision_effect e WHERE NOT EXISTS (SELECT 1 FROM decision d WHERE d.id = e.decision_id)
ORDER BY 1
""")
