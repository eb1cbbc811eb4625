"""Attribution: which referral a conversion belongs to, and when a person has to decide that (SPEC §5).

A *dispute* is between referrers; a *duplicate* is one reward too many for one order or one referee. Of *twins*, two
referrals of one referrer for one referee, the earlier is judged as if it were alone. The later waits for it.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from referral_rewards.domain.claims.dossier import Dossier, Rival
from referral_rewards.domain.claims.findings import Finding, Flag, InputMissing, failed, passed
from referral_rewards.domain.facts.events import Fact
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.labels.sentences import listed
from referral_rewards.domain.labels.vocabularies import label
from referral_rewards.domain.referrals.lifecycle import CLOSED, Reason, ReferralStatus

#: A referral in one of these statuses no longer claims anything.
_OVER: Final = frozenset(
    {ReferralStatus.EXPIRED, ReferralStatus.DENIED, ReferralStatus.WITHDRAWN, ReferralStatus.CLAWED_BACK}
)


def competitors(dossier: Dossier) -> tuple[Rival, ...]:
    """Return the referrals of other referrers with a timely claim on this conversion, in any program, ordered by id.

    A referral of the same referee for another order does not compete; `duplicates` checks whether it is one reward too
    many.

    Raises:
        InputMissing: if the rivals could not be looked up.
    """

    def counts(rival: Rival) -> bool:
        contends = rival.settled or (_live(rival) and _same_order(dossier, rival))
        return rival.referrer != dossier.referrer and rival.timely_claim and contends

    return _sorted(rival for rival in _rivals(dossier) if counts(rival))


def duplicates(dossier: Dossier) -> tuple[Rival, ...]:
    """Return the referrals already rewarded for this order or referee, and the earlier twins that live.

    Raises:
        InputMissing: if the rivals could not be looked up.
    """

    def counts(rival: Rival) -> bool:
        return rival.rewarded or (_is_earlier_twin(dossier, rival) and _live(rival))

    return _sorted(rival for rival in _rivals(dossier) if _meets(dossier, rival) and counts(rival))


def waits_for(dossier: Dossier) -> str | None:
    """Return the earlier twin that the referral waits for, so that nobody has to decide on it; None if there is none,
    or if a person has to look because the order or referee was rewarded through yet another referral."""
    found = duplicates(dossier) if dossier.rivals is not None else ()
    if not found or not all(_closes(dossier, rival) and _live(rival) for rival in found):
        return None
    return found[0].referral


def attribution_clear(dossier: Dossier) -> Finding:
    """No other referrer claims the conversion, and no fact asks to move its attribution."""
    against, moves = competitors(dossier), dossier.of(FactType.ATTRIBUTION_CHANGED)
    said, flags, asks = [], [], _asks_to_move(dossier, moves)
    if against:
        flags.append(Flag.DISPUTED_ATTRIBUTION)
        names = listed(f"{rival.referrer or 'an unknown referrer'} (referral {rival.referral})" for rival in against)
        said.append(f"Also claimed in time by {names}.")
    if asks:
        flags.append(Flag.ATTRIBUTION_CHANGED)
        said.append(f"A change of attribution to {moves[-1].data['to_referrer']} was requested; it takes a decision.")
    if dossier.referrer is None and len(dossier.origin.owners) > 1:
        # `flags.py` raises the flag: unlike that of rivals, the digest covers it.
        return failed(" ".join([*said, code_of_several(dossier)]), *moves, flags=tuple(flags))
    if dossier.referrer is None:
        flags.append(Flag.UNKNOWN_REFERRER)
        said.append("The referral names no known referrer; it takes a decision to name one.")
    if flags:
        return failed(" ".join(said), *moves, flags=tuple(flags))
    return passed(f"Only {dossier.referrer} claims this customer and order.")


def code_of_several(dossier: Dossier) -> str:
    """Say whose code it is that several referrers have."""
    owners = listed(dossier.origin.owners)
    return f"The code of the claim belongs to {owners}; it takes a decision to name one of them."


def _asks_to_move(dossier: Dossier, moves: Sequence[Fact]) -> bool:
    """Return whether the latest request is to another referrer, and no reassignment has answered it."""
    if not moves or moves[-1].data["to_referrer"] == dossier.referrer:
        return False
    answered = dossier.acts.reassigned
    return answered is None or moves[-1].received_at > answered.at


def lost(rivals: Iterable[Rival]) -> bool:
    """Return whether the approval of a rewarded rival settled the attribution dispute against this referral."""
    return any(rival.rewarded and rival.won for rival in rivals)


def fingerprint(found: Sequence[Rival]) -> str:
    """Return a hash of what a claim's judgement takes from its rivals; it changes when that changes."""
    return hashlib.sha256(json.dumps([_bearing(rival) for rival in found]).encode()).hexdigest()


def proposed_referrer(facts: Iterable[Fact], referrer: str | None, now: datetime) -> str | None:
    """Return the referrer to whom the latest request moves the attribution, or None if it would not change."""
    asked = [fact for fact in facts if fact.type is FactType.ATTRIBUTION_CHANGED and fact.occurred_at <= now]
    last = max(asked, key=lambda fact: fact.precedence, default=None)
    to: str | None = last.data["to_referrer"] if last is not None else None
    return to if to != referrer else None


def not_duplicate(dossier: Dossier) -> Finding:
    """Neither the order nor the referee was rewarded before, and one referrer does not claim either twice."""
    found = duplicates(dossier)
    if not found:
        return passed("This referrer has no other claim for the order or customer, and neither was rewarded before.")
    told = listed(f"{r.referral} ({'rewarded' if r.rewarded else label('status', r.status)})" for r in found)
    said = f"The same order or customer is part of referral {told}."
    if (first := waits_for(dossier)) is not None:
        said += f" The referral {first} came first: this one waits until it is rewarded or closed."
    rewarded = any(_closes(dossier, r) and r.status is ReferralStatus.REWARDED for r in found)
    return failed(said, flags=(Flag.DUPLICATE_CLAIM,), denial=Reason.DUPLICATE_CLAIM if rewarded else None)


def _bearing(rival: Rival) -> list[str | bool | None]:
    if rival.settled:
        return [rival.referral, "settled", rival.core_digest]
    began = [at.astimezone(UTC).isoformat() if at else None for at in (rival.claimed_at, rival.began_at)]
    standing = [rival.status in CLOSED, rival.status is ReferralStatus.REWARDED, rival.rewarded, rival.timely_claim]
    doubt = ["only_mailbox"] if rival.only_mailbox else []
    order = str(rival.name) if rival.name is not None else None
    return [rival.referral, rival.referrer, order, *began, *standing, rival.core_digest, *doubt]


def _rivals(dossier: Dossier) -> tuple[Rival, ...]:
    if dossier.rivals is None:
        raise InputMissing("Other claims for this customer and order could not be looked up.")
    return tuple(rival for rival in dossier.rivals if rival.referral != dossier.referral)


def _sorted(rivals: Iterable[Rival]) -> tuple[Rival, ...]:
    return tuple(sorted(rivals, key=lambda rival: rival.referral))


def _live(rival: Rival) -> bool:
    return rival.status not in _OVER


def _is_earlier_twin(dossier: Dossier, rival: Rival) -> bool:
    """Whether a referral of the same referrer comes before this one: by its claim, then its beginning, then its id."""
    its, own = (rival.claimed_at, rival.began_at), (dossier.course.claimed_at, dossier.origin.began_at)
    if dossier.referrer is None or rival.referrer != dossier.referrer or not rival.timely_claim:
        return False
    if None in (*its, *own):
        return False
    return (*its, rival.referral) < (*own, dossier.referral)


def _closes(dossier: Dossier, rival: Rival) -> bool:
    """Whether this referral is closed by rule once an earlier twin is rewarded. If people may share a mailbox by tags,
    a person decides."""
    certain = _same_order(dossier, rival) or not rival.only_mailbox
    return certain and _is_earlier_twin(dossier, rival)


def _meets(dossier: Dossier, rival: Rival) -> bool:
    return _same_order(dossier, rival) or (rival.program == dossier.origin.program and rival.same_referee)


def _same_order(dossier: Dossier, rival: Rival) -> bool:
    return dossier.conversion is not None and dossier.conversion.which.may_be(rival.name)
