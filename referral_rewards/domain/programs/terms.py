"""The terms of a program: one immutable, numbered version. Every referral begun under a version is judged by it.

Their YAML is read strictly: nothing is guessed, and every problem is at its path or line.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, AwareDatetime, StringConstraints, TypeAdapter, ValidationError, model_validator

from referral_rewards.domain import calendar, money
from referral_rewards.domain.calendar import Period
from referral_rewards.domain.errors import Problem, TermsInvalid
from referral_rewards.domain.facts.payloads import Currency, Id
from referral_rewards.domain.people.authority import Role
from referral_rewards.domain.programs.lint import lint
from referral_rewards.domain.programs.sections import (
    Approval,
    ContactHours,
    Fraud,
    Limits,
    Partner,
    PayoutCycle,
    Payouts,
    Periods,
    Qualifying,
    ReferrerLimit,
    RewardKind,
    RewardRule,
    Rewards,
    Section,
    Sources,
    Tax,
    Tier,
)
from referral_rewards.domain.validation import in_words

__all__ = [
    "Approval",
    "ContactHours",
    "Fraud",
    "Limits",
    "Partner",
    "PayoutCycle",
    "Payouts",
    "Periods",
    "Qualifying",
    "ReferrerLimit",
    "RewardKind",
    "RewardRule",
    "Rewards",
    "Role",
    "Sources",
    "Tax",
    "Terms",
    "Tier",
    "in_force",
    "load_terms",
]


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _known_zone(name: str) -> str:
    return calendar.zone(name).key


class Terms(Section):
    """One version of a program's terms, in the form of the contract's YAML."""

    program: Id
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    effective_from: Annotated[AwareDatetime, AfterValidator(_in_utc)]
    timezone: Annotated[str, AfterValidator(_known_zone)]
    currency: Currency
    periods: Periods
    sources: Sources = Sources()
    qualifying: Qualifying
    rewards: Rewards
    limits: Limits = Limits()
    partners: tuple[Partner, ...] = ()
    fraud: Fraud = Fraud()
    approval: Approval
    payouts: Payouts
    tax: Tax = Tax()
    contact_hours: ContactHours | None = None
    #: Whether people are asked, a day after payment or denial, how satisfied they are.
    satisfaction_survey: bool = True

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if problems := lint(_parts(self)):
            raise ValueError("; ".join(map(str, problems)))
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The program's time zone."""
        return calendar.zone(self.timezone)

    def end(self, start: datetime, period: Period) -> datetime:
        """Return when (UTC) a period that begins at ``start`` ends in this program."""
        return calendar.end_of(start, period, self.zone, self.periods.day_boundary)

    def minor(self, amount: Decimal) -> int:
        """Return an amount of the terms in minor units of the program's currency; exact."""
        return money.to_minor(amount, self.currency)

    def canonical(self) -> dict[str, Any]:
        """Return the terms as JSON values with every default; `Terms.model_validate` reads them back."""
        return self.model_dump(mode="json", by_alias=True)


@lru_cache(maxsize=16)
def load_terms(yaml_text: str) -> Terms:
    """Load terms from YAML text. Whoever publishes a text has had it read before, so the last few are kept.

    Raises:
        TermsInvalid: with every problem found, each at its path.
    """
    document = read_yaml(yaml_text)
    known = Terms.model_fields
    problems = [Problem(str(key), "is not a key of the terms") for key in document if key not in known]
    parts: dict[str, Any] = {}
    for name, field in known.items():
        if name not in document:
            if field.is_required():
                problems.append(Problem(name, "is required"))
            continue
        try:
            parts[name] = _reader(name).validate_python(document[name])
        except ValidationError as error:
            problems += _named(name, error)
    problems += lint(parts)
    if problems:
        raise TermsInvalid(problems)
    return Terms.model_validate(parts)


def in_force(versions: Iterable[tuple[int, Terms]], began_at: datetime) -> tuple[int, Terms] | None:
    """Return the version that applies to a referral that began then: the latest in force, or None.

    If two came into force at the same instant, the higher number applies.
    """
    candidates: Sequence[tuple[int, Terms]] = [each for each in versions if each[1].effective_from <= began_at]
    return max(candidates, key=lambda each: (each[1].effective_from, each[0]), default=None)


def _parts(terms: Terms) -> Mapping[str, Any]:
    return {name: getattr(terms, name) for name in Terms.model_fields}


@cache
def _reader(name: str) -> TypeAdapter[Any]:
    """Return a reader of one section alone, so that a mistake in another section does not hide one here."""
    field = Terms.model_fields[name]
    annotation: Any = field.annotation
    return TypeAdapter(Annotated[annotation, *field.metadata] if field.metadata else annotation)


def _named(section: str, error: ValidationError) -> list[Problem]:
    """Return each problem at its path as the file spells it, without pydantic's own steps (those in brackets)."""
    found = []
    for each in error.errors(include_url=False):
        path = [section, *(str(step) for step in each["loc"] if str(step)[:1] not in ("[", "("))]
        unknown = each["type"] == "extra_forbidden"
        found.append(Problem(".".join(path), "is not a key of the terms" if unknown else in_words(each)))
    return found


def read_yaml(text: str) -> dict[str, Any]:
    """Parse the text to a mapping.

    Raises:
        TermsInvalid: if it is not YAML, is not a mapping, repeats a key or uses an alias.
    """
    try:
        root = yaml.compose(_without_aliases(text), Loader=yaml.SafeLoader)
        problems = list(_repeated(root, ""))
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise TermsInvalid([Problem(line, f"is not YAML: {error.problem or error.context}")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise TermsInvalid([Problem("", f"is not YAML: {error}")]) from None
    if not isinstance(document, dict):
        raise TermsInvalid([Problem("", "terms are a mapping of keys to values")])
    if problems:
        raise TermsInvalid(problems)
    return document


def _without_aliases(text: str) -> str:
    """Return the text, or refuse one with aliases: they can expand a short file to a huge one and hide the terms."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            line = f"line {event.start_mark.line + 1}" if event.start_mark else ""
            raise TermsInvalid([Problem(line, f"*{event.anchor} is an alias; write its value out")])
    return text


def _repeated(node: yaml.Node | None, where: str) -> Iterator[Problem]:
    """Yield a problem for every key that a mapping repeats: YAML would silently take the last one."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            path = f"{where}.{key.value}".removeprefix(".")
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield Problem(path, f"is named twice (again in line {key.start_mark.line + 1})")
                seen.add(key.value)
            yield from _repeated(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated(item, f"{where}.{index}")
