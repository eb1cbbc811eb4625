"""What a pilot promises when it starts: how long it lasts, which claims count, who owns it, and what is good enough.

A pilot lasts one payout cycle, the first that opens after its start, or a period. The plan is signed with the decision
that starts it, and never changes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Self

from referral_rewards.domain.calendar import Period
from referral_rewards.domain.errors import BadInput, Problem
from referral_rewards.domain.labels.sentences import counted, listed
from referral_rewards.domain.money import parse_decimal

ALL: Final = Decimal(100)
#: Longer is no pilot.
_DAYS_MAX: Final = 366
_FIRST_MAX: Final = 10_000
#: A longer list is a partner's, or everybody.
NAMES_MAX: Final = 200
_DECIMALS_MAX: Final = 2


@dataclass(frozen=True, slots=True)
class Sample:
    """Which claims count: the ``first`` so many that come, those of the named ``referrals``, or those of referrers of
    the named ``partners``. Without any of these, every claim counts."""

    first: int | None = None
    referrals: tuple[str, ...] = ()
    partners: tuple[str, ...] = ()

    @property
    def in_words(self) -> str:
        if self.first is not None:
            return f"the first {counted(self.first, 'claim')}"
        if self.referrals:
            return f"the claims of {'referral' if len(self.referrals) == 1 else 'referrals'} {listed(self.referrals)}"
        if self.partners:
            who = "partner" if len(self.partners) == 1 else "partners"
            return f"the claims of the referrers of {who} {listed(self.partners)}"
        return "every claim"


EVERY_CLAIM: Final = Sample()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is promised. ``lasts`` is None for one payout cycle. ``threshold`` is the share of paid rewards, in percent,
    that must hold all six parts. ``version`` is that of the terms that were found ready."""

    owner: str
    version: int
    sample: Sample = EVERY_CLAIM
    lasts: Period | None = None
    threshold: Decimal = ALL

    def details(self) -> dict[str, Any]:
        """Return the plan as it is signed; `of` reads it back."""
        said: dict[str, Any] = {"owner": self.owner, "version": self.version, "threshold": str(self.threshold)}
        if self.lasts is not None:
            said["lasts"] = str(self.lasts)
        if self.sample.first is not None:
            said["first"] = self.sample.first
        if self.sample.referrals:
            said["referrals"] = list(self.sample.referrals)
        if self.sample.partners:
            said["partners"] = list(self.sample.partners)
        return said

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Self:
        """Return the plan that was signed."""
        referrals, partners = tuple(details.get("referrals", ())), tuple(details.get("partners", ()))
        lasts = details.get("lasts")
        return cls(
            details["owner"],
            details["version"],
            Sample(details.get("first"), referrals, partners),
            None if lasts is None else Period.parse(lasts),
            Decimal(details["threshold"]),
        )


def planned(
    *,
    owner: str,
    version: int,
    lasts: str | None = None,
    first: int | None = None,
    referrals: Sequence[str] = (),
    partners: Sequence[str] = (),
    threshold: str | None = None,
) -> Plan:
    """Return the plan that somebody typed.

    Raises:
        BadInput: with every field that is wrong, and what would be right.
    """
    period, rate = _period(lasts), _rate(threshold)
    problems = [each for each in (period, rate) if isinstance(each, Problem)]
    problems += [*_of_owner(owner), *_of_sample(first, referrals, partners)]
    if problems or isinstance(period, Problem) or isinstance(rate, Problem):
        raise BadInput(problems)
    sample = Sample(first, tuple(sorted(set(referrals))), tuple(sorted(set(partners))))
    return Plan(owner.strip(), version, sample, period, rate)


def _period(lasts: str | None) -> Period | Problem | None:
    if lasts is None or not lasts.strip():
        return None
    try:
        period = Period.parse(lasts.strip())
    except ValueError as error:
        return Problem("lasts", str(error))
    if period.is_zero or period.months * 31 + period.days > _DAYS_MAX:
        return Problem("lasts", f"{lasts.strip()} is no length of a pilot; a pilot lasts at most a year, such as P30D")
    return period


def _rate(threshold: str | None) -> Decimal | Problem:
    if threshold is None or not threshold.strip():
        return ALL
    try:
        rate = parse_decimal(threshold.strip().removesuffix("%").strip())
    except ValueError:
        return Problem("threshold", f"{threshold!r} is no percentage; write it as 100 or 99.5")
    exponent = rate.as_tuple().exponent
    if not 0 < rate <= ALL or not isinstance(exponent, int) or -exponent > _DECIMALS_MAX:
        return Problem("threshold", f"{threshold!r} is no percentage above 0 and up to 100, with at most two decimals")
    return rate


def _of_owner(owner: str) -> Iterator[Problem]:
    if not owner.strip():
        yield Problem("owner", "Name the user who owns the pilot.")


def _of_sample(first: int | None, referrals: Sequence[str], partners: Sequence[str]) -> Iterator[Problem]:
    if sum((first is not None, bool(referrals), bool(partners))) > 1:
        yield Problem("sample", "Name the first so many claims, or referrals, or partners; not several of these.")
    if first is not None and not 1 <= first <= _FIRST_MAX:
        yield Problem("first", f"is not from 1 to {_FIRST_MAX}")
    for where, names in (("referrals", referrals), ("partners", partners)):
        yield from _of_names(where, names)


def _of_names(where: str, names: Iterable[str]) -> Iterator[Problem]:
    known = list(names)
    if len(known) > NAMES_MAX:
        yield Problem(where, f"are more than {NAMES_MAX}")
    if any(not each.strip() or not each.isprintable() for each in known):
        yield Problem(where, "holds a name that is empty or can't be printed")
