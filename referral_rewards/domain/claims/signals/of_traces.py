"""Signals from traces: devices, networks, payment instruments, countries, and how the referee reached the site."""

from collections.abc import Iterable
from typing import Any, Final

from referral_rewards.domain.claims.dossier import Dossier
from referral_rewards.domain.claims.findings import Sign, Signal, unread
from referral_rewards.domain.facts import identity
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.labels.sentences import counted
from referral_rewards.domain.programs.sections import COUNTRIES

#: So many referrals from one network address within a day, this one included, are more than a family or small office.
CROWD_MIN: Final = 5

_WORDS: Final = {"fingerprint": "payment instrument", "agent": "browser", "ip": "network address"}


def shared(*kinds: str) -> Signal:
    """Return a signal that fires if referrer and referee share a mark of each of the kinds."""
    told = " and ".join(_WORDS.get(kind, kind) for kind in kinds)

    def fires(dossier: Dossier) -> Sign:
        common = dossier.referrer_marks & dossier.referee_marks
        if all(identity.of_kinds(common, (kind,)) for kind in kinds):
            return Sign(True, f"referrer and referee show the same {told}")
        return Sign(False, f"no {told} in common")

    return fires


def blocklisted(dossier: Dossier) -> Sign:
    """A mark of the referrer or the referee is on the installation's blocklist."""
    blocked = dossier.behaviour.blocked
    if blocked is None:
        return unread("the blocklist")
    if not blocked:
        return Sign(False, "nothing of either side is on the blocklist")
    told = ", ".join(sorted(_WORDS.get(kind, kind) for kind in blocked))
    return Sign(True, f"on the blocklist: {told}")


def reused_instrument(dossier: Dossier) -> Sign:
    """Another referee of the same referrer paid with this referee's instrument, or used the device."""
    reused = dossier.behaviour.reused
    if reused is None:
        return unread("where else the instrument or device was seen")
    others = counted(reused, "other referee", "other referees")
    return Sign(reused > 0, f"{others} of this referrer showed the same payment instrument or device")


def denied_instrument(dossier: Dossier) -> Sign:
    """The referee's payment instrument or device was seen on a referral that a person denied as fraud."""
    denied = dossier.behaviour.denied
    if denied is None:
        return unread("where else the instrument or device was seen")
    return Sign(denied > 0, f"{counted(denied, 'referral')} with this instrument or device denied as fraud")


def crowded_ip(dossier: Dossier) -> Sign:
    """Many different referrals were claimed or bought from one network address within a day of this one."""
    crowd = dossier.behaviour.crowd
    if crowd is None:
        return unread("who else used the network address")
    return Sign(crowd >= CROWD_MIN, f"{counted(crowd, 'referral')} from one network address within 24 hours")


def blocked_country(dossier: Dossier) -> Sign:
    """A country of the referee or the referrer is one that the terms block."""
    blocked = dossier.terms.fraud.blocked_countries
    if not blocked:
        return Sign(False, "the terms block no country")
    ours, theirs = _referrer_countries(dossier), _referee_countries(dossier)
    if ours is None or theirs is None:
        return unread("the countries")
    if found := sorted((ours | theirs) & set(blocked)):
        return Sign(True, f"the terms block {', '.join(found)}")
    if unknown := (ours | theirs) - COUNTRIES:
        return Sign(None, f"{counted(len(unknown), 'country', 'countries')} given in no two-letter code")
    return Sign(False, f"not among the {len(blocked)} blocked" if ours | theirs else "no country is known")


def country_mismatch(dossier: Dossier) -> Sign:
    """The referrer's and the referee's countries are known and have nothing in common."""
    ours, theirs = _referrer_countries(dossier), _referee_countries(dossier)
    if ours is None or theirs is None:
        return unread("the countries")
    if not ours or not theirs:
        return Sign(False, "the countries of both are not known")
    if ours & theirs:
        return Sign(False, "a country in common")
    if unknown := (ours | theirs) - COUNTRIES:
        return Sign(None, f"{counted(len(unknown), 'country', 'countries')} given in no two-letter code")
    return Sign(True, f"referrer in {', '.join(sorted(ours))}, referee in {', '.join(sorted(theirs))}")


def paid_click(dossier: Dossier) -> Sign:
    """The referee came by a paid click from an advertising network."""
    clicks = dossier.behaviour.clicks
    if clicks is None:
        return unread("the addresses by which the referee came")
    return Sign(True, f"came with {', '.join(sorted(clicks))}") if clicks else Sign(False, "no mark of a paid click")


def blocked_site(dossier: Dossier) -> Sign:
    """The referee came by a site that the terms block: a coupon site is not a friend's recommendation."""
    blocked = dossier.terms.fraud.blocked_sites
    if not blocked:
        return Sign(False, "the terms block no site")
    sites = dossier.behaviour.sites
    if sites is None:
        return unread("the addresses by which the referee came")
    found = sorted(sites & set(blocked))
    return Sign(True, f"came by {', '.join(found)}") if found else Sign(False, "came by no blocked site")


def _referee_countries(dossier: Dossier) -> set[str] | None:
    """Return the countries of the invitation, the claims and the conversion; one in free text is personal data."""
    if dossier.personal is None:
        return None
    said = dossier.of(FactType.REFERRAL_SENT, FactType.REFERRAL_CLAIMED, FactType.REWARD_REQUESTED)
    people = [fact.data.get("referee") for fact in said]
    if dossier.conversion is not None:
        people.append(dossier.conversion.record.data.get("customer"))
    return _codes([dossier.personal.referee_country, *(person.get("country") for person in people if person)])


def _referrer_countries(dossier: Dossier) -> set[str] | None:
    """Return the countries of the enrolment, which keeps them with the personal data."""
    return None if dossier.personal is None else _codes([dossier.personal.referrer_country])


def _codes(countries: Iterable[Any]) -> set[str]:
    return {str(country).strip().upper() for country in countries if country}


SIGNALS: Final[dict[str, Signal]] = {
    "shared_ip": shared("ip"),
    "shared_ip_and_agent": shared("ip", "agent"),
    "shared_device": shared("device"),
    "shared_fingerprint": shared("fingerprint"),
    "shared_address": shared("address"),
    "shared_surname": shared("surname"),
    "blocklisted": blocklisted,
    "reused_instrument": reused_instrument,
    "denied_instrument": denied_instrument,
    "crowded_ip": crowded_ip,
    "blocked_country": blocked_country,
    "country_mismatch": country_mismatch,
    "paid_click": paid_click,
    "blocked_site": blocked_site,
}
