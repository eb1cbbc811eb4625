"""The file of instructions for the bank, a line for each payment: the same from the desk and the command line."""

from typing import Final

from referral_rewards.domain.money import from_minor

COLUMNS: Final = (
    *("instruction", "payout", "payee", "destination", "amount", "currency"),
    *("since", "already_exported", "name"),
)


def cells(
    key: str,
    payout: str,
    payee: str,
    destination: str,
    amount_minor: int,
    currency: str,
    since: str,
    already: str | None,
    name: str | None,
) -> tuple[str, ...]:
    """Return the cells of a payment, in the order of `COLUMNS`.

    ``already`` is when it was exported before; None if it was exported for this file. No cell is guarded against
    spreadsheets yet.
    """
    amount = f"{from_minor(amount_minor, currency):f}"
    return (key, payout, payee, destination, amount, currency, since, already or "", name or "")
