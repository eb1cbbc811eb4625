"""The facts that the front door tells (SPEC §3)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from referral_rewards.domain.facts.payloads import Channel, FactType
from referral_rewards.site.rows import Invitation, Referrer


def enrolled(source: str, referrer: Referrer, at: datetime) -> Mapping[str, Any]:
    """Return that somebody enrolled. A referrer is named as the customer is: whoever pays them knows both by one id."""
    said = {"referrer": referrer.customer, "program": referrer.program, "code": referrer.code}
    number = f"enrolled {referrer.program} {referrer.customer}"
    return _fact(source, number, FactType.REFERRER_ENROLLED, at, {**said, "customer": referrer.customer})


def sent(source: str, invitation: Invitation, at: datetime) -> Mapping[str, Any]:
    """Return that an invitation was sent by email; its id is that of the referral."""
    said = {
        "referral": invitation.id,
        "program": invitation.program,
        "referrer": invitation.customer,
        "channel": Channel.EMAIL.value,
        "referee": {"email": invitation.email},
    }
    return _fact(source, f"sent {invitation.id}", FactType.REFERRAL_SENT, at, said)


def claimed(
    source: str, number: str, of: Invitation | Referrer, email: str, ip: str, at: datetime
) -> Mapping[str, Any]:
    """Return that somebody claimed an invitation, or by the link of a referrer, and agreed to be contacted."""
    if isinstance(of, Invitation):
        whose: dict[str, Any] = {"referral": of.id, "program": of.program}
    else:
        whose = {"program": of.program, "referrer_code": of.code, "channel": Channel.LINK.value}
    said = {**whose, "referee": {"email": email}, "consent": True, **({"ip": ip} if ip else {})}
    return _fact(source, f"claimed {number}", FactType.REFERRAL_CLAIMED, at, said)


def _fact(source: str, number: str, kind: FactType, at: datetime, data: Mapping[str, Any]) -> Mapping[str, Any]:
    when = at.astimezone(UTC).isoformat()
    return {"specversion": "1.0", "id": number, "source": source, "type": kind.value, "time": when, "data": data}
