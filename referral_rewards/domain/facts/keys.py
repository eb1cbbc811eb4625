"""Links facts to referrals: every fact is filed under keys, and every referral listens to keys.

A fact belongs to a referral when a key under which it is filed is one that the referral listens to. Filing and
listening are both derived from single facts, so the links do not depend on the order in which facts arrive. One hop:
a conversion that is linked by identity adds its *order* to what the referral hears, never its other identities.
What a referral hears of its referrer, and of requests that mean its referee, is derived in `linking.py`.

Beside its keys a fact leaves *traces*: names under which the fraud signals find it again, though no referral listens to
them and no writer locks them.
"""

import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.events import Event
from referral_rewards.domain.facts.payloads import ABOUT_AN_ORDER, FactType

#: Ranks of how a referral can begin; the fact with the lowest (rank, time, source, id) is its origin.
SENT, CLAIMED, REQUESTED, NAMED_ONLY = range(4)

#: Writers that share a key must not run concurrently: each would miss what the other has not committed yet. Keys are
#: spread over this many locks, which are taken in ascending order.
LOCKS: Final = 64

COUPON: Final = "coupon:"
_ENROLLED: Final = "enrolled:"
_REQUEST: Final = "request:"
#: What a claim or a purchase leaves behind: a network address, a device, a payment instrument.
TRACE_KINDS: Final = ("ip", "device", "fingerprint")
#: What a referral hears of its referee by. No fact is filed under an alias: it tells which referrals certainly mean one
#: person, where others only share a mailbox.
_REFEREE_KINDS: Final = (*identity.IDENTITY_KINDS, identity.ALIAS)
#: What identifies an enrolled person in another program, or under another name.
ENROLMENT_KINDS: Final = (*identity.IDENTITY_KINDS, "device", "fingerprint")


class Beginning(NamedTuple):
    """What one fact says about how a referral began. Program and referrer are None if it only names the referral."""

    referral: str
    rank: int
    at: datetime
    source: str
    event: str
    program: str | None
    referrer: str | None
    referrer_code: str | None
    channel: str | None

    @property
    def code_key(self) -> str | None:
        """The key of the enrolments with its code; None if it names the referrer, or none."""
        if self.program is None or self.referrer_code is None:
            return None
        return code_key(self.program, self.referrer_code)


class Filing(NamedTuple):
    """One fact's place in the register: the keys it is filed under, the referral it begins or extends, and the keys
    that this referral listens to from now on.

    ``traces`` are of kinds that no referral ever listens to: a network address that strangers share must not link
    them.
    """

    keys: frozenset[str]
    beginning: Beginning | None
    listens: frozenset[str]
    traces: frozenset[str] = frozenset()


def file(event: Event, marks: frozenset[str]) -> Filing:
    """Return where a fact is filed. ``marks`` are those of the person it is about."""
    return _FILINGS[event.type](event, marks)


def code_key(program: str, code: str) -> str:
    """Return the key under which enrolments with a code are filed, in whatever way it is spelled."""
    return f"code:{program}/{identity.folded_code(code)}"


def coupon_key(code: str) -> str:
    """Return the key under which orders with a coupon and enrolments with a code meet, in whatever program.

    No referral listens to it: a coupon shows where a claim may be missing, and links nothing.
    """
    return f"{COUPON}{identity.folded_code(code)}"


def enrolment_trace(mark: str) -> str:
    """Return the trace under which the enrolments of the person with this mark are found."""
    return f"{_ENROLLED}{mark}"


def with_marks_removed(key: str, left: Mapping[str, str]) -> str:
    """Return a key with what is ``left`` of its mark, by marks that were removed; the key itself if its mark stays."""
    for begins in ("", _ENROLLED):
        if (mark := key.removeprefix(begins)) in left and key.startswith(begins):
            return begins + left[mark]
    if key.startswith(_REQUEST):
        names, _, mark = key.rpartition("/")
        return f"{names}/{left.get(mark, mark)}"
    return key


def keys_of_mark(mark: str, public: Mapping[str, object]) -> tuple[str, ...]:
    """Return every key and trace under which a fact may be filed by one of its marks."""
    names = f"{public.get('program')}/{public.get('referrer')}"
    return mark, enrolment_trace(mark), f"{_REQUEST}{names}/{mark}"


def referral_of(event: Event) -> str | None:
    """Return the referral that a fact begins or extends: the one it names, or one derived from its own content."""
    public = event.public
    if event.type is FactType.REFERRAL_SENT:
        return str(public["referral"])
    if event.type is FactType.REFERRAL_CLAIMED:
        named = public.get("referral")
        return str(named) if named else referral_of_claim(event.fact_id, public)
    if event.type is FactType.REWARD_REQUESTED:
        return referral_of_request(event.fact_id, public["program"], public["referrer"])
    return None


def referral_of_claim(fact_id: UUID, public: Mapping[str, str]) -> str:
    """Return the referral that a claim names, or the new one that it begins."""
    if named := public.get("referral"):
        return str(named)
    return _derived("claim", fact_id, public["program"], public.get("referrer") or public["referrer_code"])


def referral_of_request(fact_id: UUID, program: str, referrer: str) -> str:
    """Return the new referral that a request for a reward begins."""
    return _derived("request", fact_id, program, referrer)


def first_beginnings(beginnings: Iterable[Beginning | None]) -> list[Beginning]:
    """Return one beginning for each referral, the one that takes precedence, sorted by referral."""
    first: dict[str, Beginning] = {}
    for beginning in beginnings:
        if beginning is None:
            continue
        other = first.get(beginning.referral)
        if other is None or _precedence(beginning) < _precedence(other):
            first[beginning.referral] = beginning
    return [first[referral] for referral in sorted(first)]


def _precedence(beginning: Beginning) -> tuple[int, datetime, str, str]:
    return (beginning.rank, beginning.at, beginning.source, beginning.event)


def locks(keys: Iterable[str]) -> list[int]:
    """Return the locks that guard these keys, in the order in which every writer takes them."""
    return sorted({zlib.crc32(key.encode()) % LOCKS for key in keys})


def _invitation(event: Event, marks: frozenset[str]) -> Filing:
    referral, public = referral_of(event), event.public
    assert referral is not None
    who = identity.of_kinds(marks, _REFEREE_KINDS)
    program, referrer = public.get("program"), public.get("referrer")
    sent = event.type is FactType.REFERRAL_SENT
    complete = program is not None and (referrer is not None or "referrer_code" in public)
    beginning = Beginning(
        referral=referral,
        rank=SENT if sent else CLAIMED if complete else NAMED_ONLY,
        at=event.occurred_at,
        source=event.source,
        event=event.event_id,
        program=program if complete else None,
        referrer=referrer if complete else None,
        referrer_code=public.get("referrer_code") if complete and referrer is None else None,
        channel=public.get("channel"),
    )
    own = f"referral:{referral}"
    listens = {own, *who}
    listens.update([f"payee:{mark.removeprefix('customer:')}" for mark in who if mark.startswith("customer:")])
    if (of_code := beginning.code_key) is not None:
        listens.add(of_code)
    return Filing(frozenset((own,)), beginning, frozenset(listens))


def _claim(event: Event, marks: frozenset[str]) -> Filing:
    return _invitation(event, marks)._replace(traces=identity.of_kinds(marks, TRACE_KINDS))


def _request(event: Event, marks: frozenset[str]) -> Filing:
    referral, public = referral_of(event), event.public
    assert referral is not None
    who = identity.of_kinds(marks, identity.IDENTITY_KINDS)
    program, referrer = public["program"], public["referrer"]
    own = f"referral:{referral}"
    beginning = Beginning(
        referral, REQUESTED, event.occurred_at, event.source, event.event_id, program, referrer, None, None
    )
    listens = {own} | identity.of_kinds(marks, _REFEREE_KINDS)
    if order := public.get("order"):
        listens.add(f"order:{order}")
    return Filing(
        frozenset({own} | {f"{_REQUEST}{program}/{referrer}/{mark}" for mark in who}), beginning, frozenset(listens)
    )


def _conversion(event: Event, marks: frozenset[str]) -> Filing:
    keys = {f"order:{event.public['order']}", *identity.of_kinds(marks, identity.IDENTITY_KINDS)}
    if coupon := event.public.get("coupon"):
        keys.add(coupon_key(coupon))
    return Filing(frozenset(keys), None, _NOTHING, identity.of_kinds(marks, TRACE_KINDS))


def _standing(event: Event, marks: frozenset[str]) -> Filing:
    public = event.public
    keys = [f"referrer:{public['program']}/{public['referrer']}"]
    if code := public.get("code"):
        keys += [code_key(public["program"], code), coupon_key(code)]
    traces = map(enrolment_trace, identity.of_kinds(marks, ENROLMENT_KINDS))
    return Filing(frozenset(keys), None, _NOTHING, frozenset(traces))


def _of_a_referral(event: Event, marks: frozenset[str]) -> Filing:
    return Filing(frozenset((f"referral:{event.public['referral']}",)), None, _NOTHING)


def _of_an_order(event: Event, marks: frozenset[str]) -> Filing:
    return Filing(frozenset((f"order:{event.public['order']}",)), None, _NOTHING)


def _of_a_payee(event: Event, marks: frozenset[str]) -> Filing:
    return Filing(frozenset((f"payee:{event.public['payee']}",)), None, _NOTHING)


def _of_a_person(event: Event, marks: frozenset[str]) -> Filing:
    return Filing(identity.of_kinds(marks, identity.IDENTITY_KINDS), None, _NOTHING)


_NOTHING: Final[frozenset[str]] = frozenset()

#: How each type of fact is filed.
_FILINGS: Final[Mapping[FactType, Callable[[Event, frozenset[str]], Filing]]] = {
    FactType.REFERRER_ENROLLED: _standing,
    FactType.REFERRER_SUSPENDED: _standing,
    FactType.REFERRER_REINSTATED: _standing,
    FactType.REFERRAL_SENT: _invitation,
    FactType.REFERRAL_CLAIMED: _claim,
    FactType.REFERRAL_WITHDRAWN: _of_a_referral,
    FactType.REFERRAL_APPEALED: _of_a_referral,
    FactType.CONVERSION_RECORDED: _conversion,
    FactType.CONVERSION_REPORTED: _of_a_referral,
    **dict.fromkeys(ABOUT_AN_ORDER, _of_an_order),
    FactType.REWARD_REQUESTED: _request,
    FactType.ATTRIBUTION_CHANGED: _of_a_referral,
    FactType.ISSUE_OPENED: _of_a_person,
    FactType.ISSUE_RESOLVED: _of_a_person,
    FactType.CONSENT_GRANTED: _of_a_person,
    FactType.CONSENT_WITHDRAWN: _of_a_person,
    FactType.METHOD_SET: _of_a_payee,
    FactType.METHOD_REMOVED: _of_a_payee,
    FactType.TAX_FORM_FILED: _of_a_payee,
    FactType.SATISFACTION_RATED: _of_a_referral,
}


def _derived(kind: str, fact_id: UUID, *parts: str) -> str:
    return f"{kind}-{uuid5(fact_id, '/'.join(parts)).hex[:20]}"
