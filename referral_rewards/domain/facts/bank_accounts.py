"""Whether a name is an IBAN: the number of somebody's bank account (ISO 13616).

A checksum alone would refuse one in 97 ids that begin with two letters. So the country's length, and where it has
digits and letters, must fit too. Card numbers have nothing like it: one in ten numbers of orders passes their check.
"""

import re
from typing import Final

_SHAPED: Final = re.compile(r"[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,29}")
_SPACED: Final = re.compile(r"[ -]")

#: What follows the country and its two check digits: so many digits (n), letters (a), or either (c).
_COUNTRIES: Final = """
AD8n12c AE19n AL8n16c AT16n AZ4a20c BA16n BE12n BG4a6n8c BH4a14c BR23n1a1c BY4c4n16c CH5n12c CR18n CY8n16c CZ20n
DE18n DK14n DO4c20n EE16n EG25n ES20n FI14n FO14n FR10n11c2n GB4a14n GE2a16n GI4a15c GL14n GR7n16c GT24c HR17n
HU24n IE4a14n IL19n IQ4a15n IS22n IT1a10n12c JO4a4n18c KW4a22c KZ3n13c LB4n20c LC4a24c LI5n12c LT16n LU3n13c
LV4a13c LY21n MC10n11c2n MD20c ME18n MK3n10c2n MR23n MT4a5n18c MU4a19n3a NL4a10n NO11n PK4a16c PL24n PS4a21c
PT21n QA4a21c RO4a16c RS18n SA2n18c SC4a20n3a SE20n SI15n SK20n SM1a10n12c ST21n SV4a20n TL19n TN20n TR6n16c
UA6n19c VA18n VG4a16n XK16n
"""
_CLASSES: Final = {"n": r"\d", "a": "[A-Z]", "c": "[A-Z0-9]"}
_BY_COUNTRY: Final = {
    country: re.compile(re.sub(r"(\d+)([nac])", lambda part: f"{_CLASSES[part[2]]}{{{part[1]}}}", account))
    for country, account in re.findall(r"([A-Z]{2})(\w+)", _COUNTRIES)
}
#: "NO" and a moment in milliseconds is as long as an account of Norway. Those have a check digit of their own.
_NORWAY: Final = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)


def may_be_iban(value: str) -> bool:
    """Return whether a text is shaped like an IBAN, of whatever country: worth a closer look."""
    return _SHAPED.fullmatch(value) is not None


def is_iban(value: str) -> bool:
    """Return whether a text is an IBAN: its country's shape, and the right check digits. Spaces and hyphens between
    its characters do not count, nor does case."""
    if not may_be_iban(value):
        return False
    plain = _SPACED.sub("", value).upper()
    country, account = plain[:2], plain[4:]
    shape = _BY_COUNTRY.get(country)
    if shape is None or not shape.fullmatch(account):
        return False
    if country == "NO" and sum(weight * int(digit) for weight, digit in zip(_NORWAY, account, strict=True)) % 11:
        return False
    return int("".join(str(int(each, 36)) for each in account + plain[:4])) % 97 == 1
