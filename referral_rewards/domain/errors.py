"""Every refusal of the product, one class each, carrying the object that was refused.

ReferralRewardsError
├── BadInput                     what a person or a system sent can't be taken: exit code 2, HTTP 422
│   ├── FactInvalid              a fact with the problems found in it
│   ├── TermsInvalid             program terms with the problems found in them
│   └── RequestInvalid           any other argument
├── Refused                      well formed, but not allowed now: exit code 1, HTTP 409
│   ├── FactConflict             the same (source, id) with another payload
│   ├── TermsNotPublishable      a version that would change a referral already bound
│   ├── DecisionRefused          a decision that the rules of approval don't admit
│   ├── ActRefused               a decision on a payout, a clawback case or a cycle that its rules don't admit
│   ├── StaleDigest              the claim changed since it was looked at
│   ├── SchemaUnknown            a database whose schema is of a version that this code does not know
│   └── LocalStackError          the local stack can't start, or its parts don't
├── NotFound                     nothing has that name: exit code 1, HTTP 404
├── NotAllowed                   a person without the authority: exit code 1, HTTP 403
├── NotSignedIn                  no valid credential: HTTP 401; to a command, bad input: exit code 2
│   └── NotGenuine               a webhook that its provider has not signed, or not lately
├── OutsideSilent                somebody outside must answer first, and does not: exit code 1, HTTP 503
└── TooManyAttempts              failed too often to sign in: exit code 1, HTTP 429
    └── TooManyMessages          said too much by one link to a status
"""

from collections.abc import Sequence
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong with an input: where it stands, what is wrong and what would be right."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


class ReferralRewardsError(Exception):
    """A refusal. Its message is one sentence for the person who asked."""


class BadInput(ReferralRewardsError):
    """An input that can't be taken, with every problem found in it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class FactInvalid(BadInput):
    """A fact that is not of the form of SPEC §3."""


class TermsInvalid(BadInput):
    """Terms that do not say what a program needs to say."""


class RequestInvalid(BadInput):
    """An argument of a command or a request that can't be taken."""

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__([Problem(where, what)])


class Refused(ReferralRewardsError):
    """Well formed, but the present state does not admit it."""


class FactConflict(Refused):
    """The same (source, id) was acknowledged before with another payload."""

    def __init__(self, source: str, event_id: str) -> None:
        self.source, self.event_id = source, event_id
        super().__init__(f"fact ({source}, {event_id}) was recorded before with another payload; send a new id")


class TermsNotPublishable(Refused):
    """A version that would change the terms of a referral already bound to an earlier one."""

    def __init__(self, program: str, why: str) -> None:
        self.program = program
        super().__init__(f"program {program}: {why}")


class DecisionRefused(Refused):
    """A decision that the rules of approval (SPEC §6) don't admit; the rule is named."""

    def __init__(self, referral: str, rule: str, why: str) -> None:
        self.referral, self.rule, self.why = referral, rule, why
        super().__init__(f"referral {referral}: {why} (rule: {rule})")


class ActRefused(Refused):
    """A decision on a payout, a clawback case or a payout cycle that its rules don't admit; the rule is named."""

    def __init__(self, subject: str, rule: str, why: str) -> None:
        self.subject, self.rule, self.why = subject, rule, why
        super().__init__(f"{subject}: {why} (rule: {rule})")


class StaleDigest(Refused):
    """The claim is no longer the one that was looked at."""

    def __init__(self, referral: str, shown: str, current: str) -> None:
        self.referral, self.shown, self.current = referral, shown, current
        super().__init__(
            f"referral {referral}: the claim changed since it was shown ({shown[:12]}, now {current[:12]}); look again"
        )


class SchemaUnknown(Refused):
    """A database whose schema was made by a version that this code does not know: a newer or an unreleased one."""

    def __init__(self, revision: str) -> None:
        self.revision = revision
        super().__init__(
            f"the database has the schema {revision}, which this version does not know: use the version that made it, "
            "or an empty database"
        )


class LocalStackError(Refused):
    """Why the local stack can't run here and now, with what would help."""


class NotFound(ReferralRewardsError):
    """Nothing has that name."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name
        super().__init__(f"there is no {kind} {name!r}")


class NotAllowed(ReferralRewardsError):
    """The person is known, but lacks the authority."""


class NotSignedIn(ReferralRewardsError):
    """No valid credential came with the request."""


class NotGenuine(NotSignedIn):
    """A webhook that its provider has not signed, or not lately; the message says what is wrong with its signature."""


class OutsideSilent(ReferralRewardsError):
    """What somebody outside has to say can't be had now; later it may."""


class TooManyAttempts(ReferralRewardsError):
    """Signing in failed so often that further attempts aren't looked at for a while."""

    def __init__(self, retry_after_seconds: int) -> None:
        self.retry_after_seconds = retry_after_seconds
        minutes = -(-retry_after_seconds // 60)
        super().__init__(f"too many failed attempts to sign in; try again in {minutes} min")


class TooManyMessages(TooManyAttempts):
    """By one link to a status so much was said that a person has to read it first."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(retry_after_seconds)
        self.args = ("several appeals were received from you already; a person reads them, try again tomorrow",)
