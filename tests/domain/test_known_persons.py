"""By what else a person is known, where somebody typed another's address beside their own id."""

from collections.abc import Iterable

import pytest

from referral_rewards.domain.persons.known import also_known, without_others

OWN, OTHER = "customer:own", "customer:other"
E, P = "email:e", "phone:p"


def _hop(asked: set[str], register: Iterable[set[str]]) -> tuple[set[str], set[str]]:
    facts = [frozenset(each) for each in register]
    told = [each for each in facts if each & asked]
    hop = also_known(frozenset(asked), told)
    known, left_out = without_others(frozenset(asked), hop, [each for each in facts if each & hop.known])
    return set(known), set(left_out)


@pytest.mark.parametrize(
    ("asked", "register", "known", "left_out"),
    [
        ({OWN}, [{OWN, E}, {E, P}], {OWN, E}, set()),
        ({E}, [{OWN, E}, {OWN, P}], {OWN, E}, set()),
        ({E}, [{E, P}], {E, P}, set()),
        # A claim names the own id beside another's address, whose purchases name another id.
        ({OWN}, [{OWN, E}, {OTHER, E, P}], {OWN}, {E}),
        ({OWN}, [{OWN, E}, {OWN, P}, {OTHER, E}], {OWN, P}, {E}),
        # The owner of the address asks: which of both ids is theirs, nobody can tell.
        ({E}, [{OWN, E, P}, {OTHER, E}], {E}, {OWN, OTHER, P}),
        ({E}, [{OWN, E}, {OTHER, E}, {E, P}], {E, P}, {OWN, OTHER}),
        # Whoever asks has said which.
        ({E, OWN}, [{OWN, E, P}, {OTHER, E}], {E, OWN, P}, {OTHER}),
        ({OWN, OTHER}, [{OWN, E}, {OTHER, E, P}], {OWN, OTHER, E, P}, set()),
        ({OWN}, [], {OWN}, set()),
    ],
)
def test_one_hop_never_leads_into_the_data_of_another_customer(
    asked: set[str], register: list[set[str]], known: set[str], left_out: set[str]
) -> None:
    assert _hop(asked, register) == (known, left_out)
