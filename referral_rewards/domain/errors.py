"""Every refusal of the product, one class each. Each carries the object that was refused.

A refusal of a mistyped name says which one may have been meant (`nearest`).

ReferralRewardsError
├── BadInput                     input from a person or a system is not valid: exit code 2, HTTP 422
│   ├── FactInvalid              a fact, with the problems found in it
│   ├── TermsInvalid             program terms, with the problems found in them
│   └── RequestInvalid           any other argument
├── Refused                      well formed, but not allowed now: exit code 1, HTTP 409
│   ├── FactConflict             the same (source, id) with another payload
│   ├── TermsNotPublishable      a version that would change the terms of an existing referral
│   ├── DecisionRefused          a decision on a claim that the approval rules forbid
│   ├── ActRefused               a decision on a payout, a clawback case or a cycle that its rules forbid
│   ├── NotReady                 a pilot of a program that is not ready, with every gap
│   ├── StaleDigest              the claim changed since it was shown
│   ├── SchemaUnknown            a database with a schema version that this code does not know
│   ├── RegisterMoved            a register from another server, whose order of commits is to be carried on first
│   └── LocalStackError          the local stack, or a part of it, can't start
├── NotFound                     nothing has that name: exit code 1, HTTP 404
├── NotAllowed                   a person without the authority: exit code 1, HTTP 403
│   └── FactorNeeded             a person who has to set up a second factor first
├── NotSignedIn                  no valid credential: HTTP 401; to a command, bad input: exit code 2
│   └── NotGenuine               a webhook without a valid, recent signature of its provider
├── SealBroken                   what the register keeps sealed can't be opened with our keys: HTTP 503
├── OutsideSilent                an outside service must answer first, and does not: exit code 1, HTTP 503
├── NamespaceIncomplete          Temporal lacks what our workflows need to start: HTTP 503
└── TooManyAttempts              too many failed sign-ins: exit code 1, HTTP 429
    └── TooManyMessages          too many messages through one status link
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong with an input: where it is, what is wrong and what would be right."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


def uncapitalized(message: str) -> str:
    """A message that goes on after a colon: its first letter is small, unless it begins a name such as UTF-8."""
    return f"{message[:1].lower()}{message[1:]}" if message[1:2].islower() else message


class ReferralRewardsError(Exception):
    """A refusal. Its message is one sentence for the person who asked."""


class BadInput(ReferralRewardsError):
    """An input that is not valid, with every problem found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class FactInvalid(BadInput):
    """A fact that does not have the form of SPEC §3."""


class TermsInvalid(BadInput):
    """Program terms that are incomplete or wrong."""


class RequestInvalid(BadInput):
    """An argument of a command or a request that is not valid."""

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__([Problem(where, what)])


class Refused(ReferralRewardsError):
    """Well formed, but not allowed in the present state."""


class FactConflict(Refused):
    """The same (source, id) was acknowledged before with another payload."""

    def __init__(self, source: str, event_id: str) -> None:
        self.source, self.event_id = source, event_id
        super().__init__(f"fact ({source}, {event_id}) was recorded before with another payload; send it with a new id")


class TermsNotPublishable(Refused):
    """A version that would change the terms of a referral already bound to an earlier one."""

    def __init__(self, program: str, why: str) -> None:
        self.program = program
        super().__init__(f"program {program}: {why}")


class DecisionRefused(Refused):
    """A decision on a claim that the approval rules (SPEC §6) forbid; names the rule."""

    def __init__(self, referral: str, rule: str, why: str) -> None:
        self.referral, self.rule, self.why = referral, rule, why
        super().__init__(f"referral {referral}: {why}")


class ActRefused(Refused):
    """A decision on a payout, a clawback case or a payout cycle that its rules forbid; names the rule."""

    def __init__(self, subject: str, rule: str, why: str) -> None:
        self.subject, self.rule, self.why = subject, rule, why
        super().__init__(f"{subject}: {why}")


class NotReady(Refused):
    """A pilot of a program that is not ready; each gap with the area that it is in."""

    def __init__(self, program: str, gaps: Sequence[Problem]) -> None:
        self.program, self.gaps = program, tuple(gaps)
        super().__init__(f"program {program} is not ready: {'; '.join(map(str, gaps))}")


class StaleDigest(Refused):
    """The claim changed since it was shown."""

    def __init__(self, referral: str, shown: str, current: str) -> None:
        self.referral, self.shown, self.current = referral, shown, current
        super().__init__(
            f"referral {referral}: the claim changed since you looked at it (digest {shown[:12]}, now {current[:12]});"
            " look at it again"
        )


class SchemaUnknown(Refused):
    """The database has a schema version that this code does not know: a newer or an unreleased one."""

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(
            f"the database has the schema {revision}, which this version does not know: use the version that made it, "
            "or an empty database"
        )


class RegisterMoved(Refused):
    """The register was restored from a dump of another server, whose transactions had higher numbers."""

    def __init__(self) -> None:
        super().__init__(
            "the register was restored on another server, and new events would stand before old ones: run"
            " `referrals db upgrade` once"
        )


class LocalStackError(Refused):
    """The local stack can't run. The message says why, and what would help."""


class NotFound(ReferralRewardsError):
    """Nothing has that name; of the names that there are the nearest is told."""

    def __init__(self, kind: str, name: str, known: Iterable[str] = ()) -> None:
        self.kind, self.name = kind, name
        super().__init__(f"there is no {kind} {name!r}{perhaps(name, known)}")


class NotAllowed(ReferralRewardsError):
    """The person is known, but lacks the authority."""


class FactorNeeded(NotAllowed):
    """The person has the authority, and must set up a second factor before they use it."""

    def __init__(self) -> None:
        super().__init__("set up a second factor first: it is asked of everybody who may decide")


class AccountUnconfirmed(NotAllowed):
    """Somebody else changed how the person signs in. They decide again once a second person confirmed it.

    ``changes`` are clauses that say who did what, and when.
    """

    def __init__(self, name: str, changes: Sequence[str]) -> None:
        super().__init__(
            f"{name} decides nothing until this is confirmed: {'; '.join(changes)}. Another administrator confirms it"
            f" (referrals user confirm {name}), or you do at /account with a second factor that is older"
        )


class NotSignedIn(ReferralRewardsError):
    """No valid credential came with the request."""


class NotGenuine(NotSignedIn):
    """A webhook without a valid, recent signature of its provider; the message says what is wrong with it."""


class SealBroken(ReferralRewardsError):
    """What the register keeps sealed was sealed with a key that we do not have, or was tampered with."""

    def __init__(self, of: str) -> None:
        self.of = of
        super().__init__(f"{of} can't be opened with our sealing keys")


class OutsideSilent(ReferralRewardsError):
    """An outside service does not answer now; a retry may succeed."""


class DatabaseSilent(ReferralRewardsError):
    """The database does not answer as the API needs it, when it was looked at last."""


class NamespaceIncomplete(ReferralRewardsError):
    """The Temporal namespace lacks a search attribute; the message names it and the command that adds it."""


class ClocksApart(ReferralRewardsError):
    """The clock of this process differs from the database's; the message tells by how much, and what to do."""


class TooManyAttempts(ReferralRewardsError):
    """Signing in failed so often that further attempts are refused for a while."""

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        minutes = -(-retry_after_seconds // 60)
        super().__init__(
            f"too many failed sign-in attempts; try again in {minutes} {'minute' if minutes == 1 else 'minutes'}"
        )


class TooManyMessages(TooManyAttempts):
    """So many messages came through one status link that a person has to read them first."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds)
        self.args = (
            "we already received several appeals from you and will read them; you can send another one tomorrow",
        )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like this one, whatever its case; None if none is like it."""
    from difflib import get_close_matches  # here, as only a mistake needs it

    by_plain = {each.casefold(): each for each in sorted(known, reverse=True)}
    found = get_close_matches(name.casefold(), by_plain, n=1)
    return by_plain[found[0]] if found else None


def perhaps(name: str, known: Iterable[str]) -> str:
    """What to add to a sentence that refuses a name: the nearest one, as a question, or nothing."""
    found = nearest(name, known)
    return f"; did you mean {found!r}?" if found is not None else ""


def none_of(value: str, known: Iterable[str]) -> str:
    """That a value is none of those that are known, and which of them is the nearest."""
    names = [str(each) for each in known]
    return f"{value!r} is none of {', '.join(names)}{perhaps(value, names)}"
