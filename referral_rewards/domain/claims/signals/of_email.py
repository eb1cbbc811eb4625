"""Signals from email addresses and names: similar to each other, or meant to hide the person.

They read plaintext that no claim contains, and their ``why`` never repeats it.
"""

import unicodedata
from collections.abc import Callable
from typing import Final

from disposable_email_domains import blocklist
from rapidfuzz import fuzz

from referral_rewards.domain.claims.dossier import Dossier, Similarity
from referral_rewards.domain.claims.findings import Sign, Signal, unread
from referral_rewards.domain.facts.identity import normal_email
from referral_rewards.domain.web_addresses import registered_name, registrable

#: From this similarity (0–100) on, two local parts count as one person's: one letter in four may differ.
SIMILAR_FROM: Final = 85.0
#: From this similarity on, two full names count as one: a letter may be missing, rarely differ. Maria is not Mario.
SIMILAR_NAMES_FROM: Final = 92.0

#: Services that forward to an address they hide. Honest people use them too; the score adds, it does not convict.
RELAYS: Final = frozenset(
    {
        *("privaterelay.appleid.com", "mozmail.com", "relay.firefox.com", "duck.com", "simplelogin.com"),
        *("simplelogin.co", "slmail.me", "slmails.com", "aleeas.com", "8alias.com", "8shield.net", "passmail.net"),
        *("passmail.com", "passinbox.com", "passfwd.com", "anonaddy.com", "anonaddy.me", "addy.io", "addymail.com"),
        *("33mail.com", "burnermail.io", "erine.email", "opayq.com", "cloaked.id", "myclkd.com"),
    }
)
#: Domains on which strangers have addresses: sharing one of them means nothing.
FREE_PROVIDERS: Final = frozenset(
    {
        *("gmail.com", "googlemail.com", "icloud.com", "me.com", "mac.com", "aol.com", "mail.com", "email.com"),
        *("proton.me", "protonmail.com", "pm.me", "zoho.com", "zohomail.com", "fastmail.com", "hey.com", "tuta.com"),
        *("tutanota.com", "msn.com", "ymail.com", "rocketmail.com", "web.de", "t-online.de", "freenet.de", "orange.fr"),
        *("wanadoo.fr", "free.fr", "laposte.net", "sfr.fr", "libero.it", "virgilio.it", "tiscali.it", "telefonica.net"),
        *("btinternet.com", "sky.com", "virginmedia.com", "ntlworld.com", "talktalk.net", "comcast.net", "verizon.net"),
        *("att.net", "sbcglobal.net", "bellsouth.net", "cox.net", "charter.net", "earthlink.net", "rogers.com"),
        *("sympatico.ca", "bell.net", "shaw.ca", "telus.net", "videotron.ca", "bigpond.com", "optusnet.com.au"),
        *("mail.ru", "bk.ru", "list.ru", "inbox.ru", "yandex.ru", "yandex.com", "rambler.ru", "ukr.net", "seznam.cz"),
        *("wp.pl", "o2.pl", "onet.pl", "interia.pl", "abv.bg", "qq.com", "foxmail.com", "163.com", "126.com"),
        *("sina.com", "naver.com", "hanmail.net", "daum.net", "rediffmail.com", "uol.com.br", "bol.com.br"),
        *("terra.com.br", "docomo.ne.jp", "ezweb.ne.jp", "softbank.ne.jp", "bluewin.ch", "telenet.be", "ziggo.nl"),
    }
)
#: Providers with a domain in many countries: ``yahoo.co.uk``, ``live.ca``.
_FREE_EVERYWHERE: Final = frozenset({"yahoo", "hotmail", "outlook", "live", "gmx"})


def disposable_email(dossier: Dossier) -> Sign:
    """The referee's or the referrer's address belongs to a service for throw-away addresses."""
    return _of_either(dossier, is_disposable, "throw-away addresses")


def masked_email(dossier: Dossier) -> Sign:
    """The referee's or the referrer's address belongs to a service that hides the real one."""
    return _of_either(dossier, is_masked, "hidden addresses")


def similar_email(dossier: Dossier) -> Sign:
    """The local parts of both addresses are nearly the same, whatever the domain."""
    personal = dossier.personal
    if personal is None:
        return unread("the addresses")
    likeness = _likeness_of_emails(personal)
    return Sign(likeness >= SIMILAR_FROM, f"the addresses are alike by {likeness:.0f} of 100")


def shared_email_domain(dossier: Dossier) -> Sign:
    """Both addresses have the same domain, which is a company's or family's and not a public provider's."""
    personal = dossier.personal
    if personal is None:
        return unread("the addresses")
    one, other = (_host(email) for email in (personal.referrer_email, personal.referee_email))
    if not one or one != other:
        return Sign(False, "no domain in common")
    if is_free(one):
        return Sign(False, "the domain in common is one of a provider that everybody uses")
    return Sign(True, "both addresses are of one domain, which is no provider's")


def similar_name(dossier: Dossier) -> Sign:
    """Both full names are nearly the same, in whatever order their parts come."""
    personal = dossier.personal
    if personal is None:
        return unread("the names")
    one, other = (_plain_name(name) for name in (personal.referrer_name, personal.referee_name))
    # Many people share a given name.
    if " " not in one or " " not in other:
        return Sign(False, "there are no two full names to compare")
    likeness = fuzz.token_sort_ratio(one, other)
    return Sign(likeness >= SIMILAR_NAMES_FROM, f"the names are alike by {likeness:.0f} of 100")


def is_disposable(email: str) -> bool:
    """Whether the address's host, or the domain it is registered under, is a known throw-away service."""
    host = _host(email)
    return host in blocklist or registrable(host) in blocklist


def is_masked(email: str) -> bool:
    """Whether the address's host, or the domain it is registered under, is a known relay."""
    host = _host(email)
    return host in RELAYS or registrable(host) in RELAYS


def is_free(host: str) -> bool:
    """Whether strangers have addresses at this host."""
    site = registrable(host)
    if site in FREE_PROVIDERS or host in RELAYS or site in RELAYS or host in blocklist or site in blocklist:
        return True
    return registered_name(host) in _FREE_EVERYWHERE


def _likeness_of_emails(personal: Similarity) -> float:
    if not personal.referrer_email or not personal.referee_email:
        return 0.0
    one, other = (normal_email(e).rpartition("@")[0] for e in (personal.referrer_email, personal.referee_email))
    return fuzz.ratio(one, other) if one and other else 0.0


def _of_either(dossier: Dossier, told: Callable[[str], bool], service: str) -> Sign:
    personal = dossier.personal
    if personal is None:
        return unread("the addresses")
    sides = {"referrer": personal.referrer_email, "referee": personal.referee_email}
    found = [f"the {side}'s" for side, email in sides.items() if email and told(email)]
    if not found:
        return Sign(False, f"no address is of a known service for {service}")
    return Sign(True, f"{' and '.join(found)} address is of a service for {service}")


def _host(email: str | None) -> str:
    return normal_email(email).rpartition("@")[2] if email else ""


def _plain_name(name: str | None) -> str:
    """Return a name without case, accents, punctuation and extra spaces."""
    apart = unicodedata.normalize("NFKD", (name or "").casefold())
    kept = "".join(each if each.isalnum() else " " for each in apart if not unicodedata.combining(each))
    return " ".join(kept.split())


SIGNALS: Final[dict[str, Signal]] = {
    "disposable_email": disposable_email,
    "masked_email": masked_email,
    "similar_email": similar_email,
    "shared_email_domain": shared_email_domain,
    "similar_name": similar_name,
}
