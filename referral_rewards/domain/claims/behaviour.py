"""Behaviour: what the records around a referral show, as counts and names of kinds that identify no person.

It is gathered for the signals to which the terms give a weight. A part that is ``None`` was not requested, or could not
be read within its bounds; its signals then could not run.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """The number of referrals that the referrer began: in the hour and in the day up to and including this one, and in
    the 30 days before that hour and before that day."""

    hour: int
    before_hour: int
    day: int
    before_day: int


@dataclass(frozen=True, slots=True)
class Refunds:
    """Of the referrer's latest referrals before this one, 50 at most: the number with a conversion, and the number of
    those that were fully reversed."""

    converted: int
    reversed: int


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The parts; each feeds one or two signals."""

    #: The number of people (three or four) in the shortest circle of referrals through this one; 0 if there is none.
    #: A pair is `Dossier.reciprocal` instead.
    ring: int | None = None
    pace: Pace | None = None
    refunds: Refunds | None = None
    #: How many other enrolments of the referrer, in other programs or under other ids, are suspended now.
    barred: int | None = None
    #: The kinds of either side's marks that are on the blocklist.
    blocked: frozenset[str] | None = None
    #: How many other people whom the referrer referred showed the referee's payment instrument or device.
    reused: int | None = None
    #: How many referrals with that instrument or device were denied for fraud.
    denied: int | None = None
    #: The most referrals, this one counted, that a network address of its claim or conversion saw within 24 hours.
    crowd: int | None = None
    #: Names of the parameters by which advertisers mark a paid click.
    clicks: frozenset[str] | None = None
    #: The registrable domains that the referee came from or landed on.
    sites: frozenset[str] | None = None
