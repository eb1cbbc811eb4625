"""The recipes of the guide for Zapier are facts, once a trigger's fields stand in them."""

import json
import re
from typing import Final

import pytest

from referral_rewards.domain.facts.events import parse_event
from tests.vendors.reading import GUIDES

RECIPES: Final = re.findall(r"```json\n(.*?)```", (GUIDES / "zapier.md").read_text(), re.DOTALL)
FIELDS: Final = {"amount": "80.00", "email": "brie@example.com", "code": "MIRA-C01"}


def _filled(recipe: str) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1]
        return FIELDS.get(name) or ("2026-07-10T14:00:00+02:00" if name.endswith("_at") else f"{name}-1")

    return re.sub(r"\{\{(\w+)\}\}", value, recipe)


def test_there_are_recipes() -> None:
    assert len(RECIPES) == 5


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: re.findall(r'"type": "([^"]+)"', recipe)[0])
def test_a_recipe_is_a_fact_without_a_warning(recipe: str) -> None:
    assert parse_event(json.loads(_filled(recipe))).warnings == ()
