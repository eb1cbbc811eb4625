"""Tax forms: which is in force at a moment, to the microsecond, whatever order they arrived in."""

import random
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_rewards.domain.calendar import zone
from referral_rewards.domain.errors import FactInvalid
from referral_rewards.domain.facts.payloads import FactType
from referral_rewards.domain.payees.tax_forms import (
    FORMS,
    FormStanding,
    OnFile,
    TaxForm,
    form_of,
    next_start,
    on_file,
    read,
)
from referral_rewards.domain.payees.tax_thresholds import THRESHOLDS
from tests.domain.build import TICK, at, fact

UTC, NEW_YORK, AUCKLAND = zone("UTC"), zone("America/New_York"), zone("Pacific/Auckland")
S = FormStanding


def filed(time: str, form: str = "W-9", event_id: str | None = None, **said: Any) -> TaxForm:
    return form_of(fact(FactType.TAX_FORM_FILED, time, {"payee": "dexter", "form": form, **said}, event_id=event_id))


W9, W8 = filed("2026-02-01"), filed("2026-02-01", "W-8BEN", valid_from="2026-01-01")
TOMORROW = filed("2026-02-01", valid_from="2026-02-02")

MOMENTS = [
    ("nothing filed", [], at("2026-06-01"), S.MISSING),
    ("a tick before it was filed", [W9], at("2026-02-01") - TICK, S.MISSING),
    ("as it was filed", [W9], at("2026-02-01"), S.IN_FORCE),
    ("a W-9 forty years on", [W9], at("2066-02-01"), S.IN_FORCE),
    ("valid from tomorrow, the last tick of today", [TOMORROW], at("2026-02-02T00:00:00") - TICK, S.NOT_YET_VALID),
    ("valid from tomorrow, tomorrow", [TOMORROW], at("2026-02-02T00:00:00"), S.IN_FORCE),
    ("valid since before it was filed, before that", [W8], at("2026-01-15"), S.MISSING),
    ("the last tick of the third year after", [W8], at("2030-01-01T00:00:00") - TICK, S.IN_FORCE),
    ("the fourth year after", [W8], at("2030-01-01T00:00:00"), S.EXPIRED),
    ("no form of the regime's", [filed("2026-02-01", "DAC7")], at("2026-06-01"), S.NOT_TAKEN),
    ("written otherwise", [filed("2026-02-01", "w8 ben e")], at("2026-06-01"), S.IN_FORCE),
    ("taken away by a later one that is none", [W9, filed("2026-03-01", "other")], at("2026-04-01"), S.NOT_TAKEN),
    ("not before that one", [W9, filed("2026-03-01", "other")], at("2026-03-01") - TICK, S.IN_FORCE),
    ("a later one that is not valid yet", [W9, filed("2026-03-01", "other", valid_from="2027-01-01")],
     at("2026-12-31T23:59:59"), S.IN_FORCE),
    ("an expired one does not bring back what it replaced", [W9, filed("2026-03-01", "W-8BEN")],
     at("2030-06-01"), S.EXPIRED),
    ("filed anew after it expired", [W8, filed("2030-02-01", "W-8BEN")], at("2030-02-01"), S.IN_FORCE),
    ("the later filing outweighs the later day", [filed("2026-02-01", "other", valid_from="2026-02-20"),
     filed("2026-02-10", "W-9", valid_from="2026-01-01")], at("2026-03-01"), S.IN_FORCE),
    ("of two filed at once the later id", [filed("2026-02-01", "W-9", "1"), filed("2026-02-01", "other", "2")],
     at("2026-03-01"), S.NOT_TAKEN),
]  # fmt: skip


@pytest.mark.parametrize(("forms", "moment", "expected"), [row[1:] for row in MOMENTS], ids=[row[0] for row in MOMENTS])
def test_which_form_stands_does_not_depend_on_the_order_of_arrival(
    forms: list[TaxForm], moment: datetime, expected: FormStanding
) -> None:
    for arrived in permutations(forms):
        found = on_file(arrived, "us", moment, UTC)
        assert (found.standing, found.clears) == (expected, expected is S.IN_FORCE)


@pytest.mark.parametrize(
    ("where", "ends"),
    [(UTC, "2030-01-01T00:00:00"), (NEW_YORK, "2030-01-01T05:00:00"), (AUCKLAND, "2029-12-31T11:00:00")],
    ids=["UTC", "New York", "Auckland"],
)
def test_a_form_ends_with_the_year_of_the_programs_clock(where: Any, ends: str) -> None:
    assert on_file([W8], "us", at(ends) - TICK, where) == OnFile(S.IN_FORCE, W8, at(ends))
    assert on_file([W8], "us", at(ends), where).standing is S.EXPIRED


def test_a_form_without_a_first_day_ends_by_the_day_it_was_filed_on_there() -> None:
    new_year = filed("2027-01-01T02:00:00", "W-8BEN")
    assert on_file([new_year], "us", at("2030-06-01"), UTC).standing is S.IN_FORCE
    assert on_file([new_year], "us", at("2031-01-01T00:00:00"), UTC).standing is S.EXPIRED
    assert on_file([new_year], "us", at("2030-01-01T05:00:00") - TICK, NEW_YORK).standing is S.IN_FORCE
    assert on_file([new_year], "us", at("2030-01-01T05:00:00"), NEW_YORK).standing is S.EXPIRED


@pytest.mark.parametrize("recorded", [{"valid_from": "soon"}, {"withholding_percent": "a lot"}])
def test_what_was_recorded_of_a_form_and_says_nothing_clears_nobody(recorded: dict[str, str]) -> None:
    form = read({"form": "W-9", **recorded}, at("2026-03-01"), "test", "1")
    assert not on_file([W9, form], "us", at("2026-06-01"), UTC).clears


def test_withholding_is_that_of_the_form_in_force() -> None:
    plain, backup = filed("2026-01-01"), filed("2026-02-01", withholding_percent="24")
    assert on_file([plain], "us", at("2026-03-01"), UTC).withholding_percent == 0
    assert on_file([plain, backup], "us", at("2026-01-15"), UTC).withholding_percent == 0
    assert on_file([plain, backup], "us", at("2026-03-01"), UTC).withholding_percent == Decimal("24")
    assert on_file([filed("2026-01-01", "?W", withholding_percent="24")], "us", at("2026-03-01"), UTC).standing is (
        S.NOT_TAKEN
    )


def test_next_form_to_become_valid_is_the_next_moment_that_matters() -> None:
    later = filed("2026-02-01", valid_from="2026-09-01")
    assert next_start([later, TOMORROW, W9], at("2026-02-01"), UTC) == at("2026-02-02T00:00:00")
    assert next_start([later, TOMORROW], at("2026-02-02T00:00:00"), NEW_YORK) == at("2026-02-02T05:00:00")
    assert next_start([later], at("2026-09-01T00:00:00"), UTC) is None


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"withholding_percent": "101"}, "data.withholding_percent"),
        ({"withholding_percent": "-1"}, "data.withholding_percent"),
        ({"withholding_percent": "24 %"}, "data.withholding_percent"),
        ({"valid_from": "2026-02-30"}, "data.valid_from"),
        ({"valid_from": "20260101"}, "data.valid_from"),
        ({"valid_from": "2026-W01-1"}, "data.valid_from"),
        ({"valid_from": "0001-01-01"}, "data.valid_from"),
        ({"form": ""}, "data.form"),
        ({"form": "ask dexter@example.com"}, "data.form"),
    ],
)
def test_a_form_that_says_nothing_is_refused_in_one_line(said: dict[str, str], path: str) -> None:
    with pytest.raises(FactInvalid) as refused:
        fact(FactType.TAX_FORM_FILED, "2026-01-01", {"payee": "dexter", "form": "W-9", **said})
    assert [problem.where for problem in refused.value.problems] == [path]


@pytest.mark.parametrize("percent", ["0", "100", "7.5"])
def test_withholding_reaches_from_nothing_to_all(percent: str) -> None:
    assert filed("2026-01-01", withholding_percent=percent).withholding_percent == Decimal(percent)


@given(st.integers(0, 2**32))
def test_what_stands_is_what_the_words_of_the_rule_say(seed: int) -> None:
    """Against the rule written out by days: the last filed of those that have begun, if it is one that is taken."""
    rng = random.Random(seed)
    forms = []
    for n in range(rng.randrange(6)):
        said = {"valid_from": f"20{rng.randrange(22, 32)}-06-15"} if rng.random() < 0.5 else {}
        forms.append(filed(f"20{rng.randrange(22, 32)}-0{rng.randrange(1, 9)}-01", rng.choice(["W-9", "W-8BEN", "X"]),
                           str(n), **said))  # fmt: skip
    now = at(f"20{rng.randrange(22, 36)}-07-01")
    begun = [f for f in forms if f.filed_at <= now and (f.valid_from is None or f.valid_from <= now.date())]
    last = max(begun, key=lambda form: (form.filed_at, form.event_id), default=None)
    first_year = (last.valid_from.year if last.valid_from else last.filed_at.year) if last else 0
    expected = last is not None and (last.form == "W-9" or (last.form == "W-8BEN" and now.year <= first_year + 3))
    rng.shuffle(forms)
    assert on_file(forms, "us", now, UTC).clears is expected


def test_every_regime_with_a_threshold_says_which_forms_it_takes() -> None:
    assert FORMS.keys() == THRESHOLDS.keys()
    assert all(kind.source for kinds in FORMS.values() for kind in kinds)
    with pytest.raises(KeyError):
        on_file([W9], "atlantis", at("2026-06-01") + timedelta(0), UTC)
