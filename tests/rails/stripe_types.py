"""Holds what goes to Stripe, and what its sandbox answers, against the types of Stripe's own SDK.

Stripe generates them from its OpenAPI document, of the very version that we ask for, and they are installed with us:
what `documents` checks where the document is at hand these check always, but for lengths and patterns.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Any, Final, ForwardRef, Literal, NotRequired, Union, get_args, get_origin

import stripe
from stripe import params
from stripe._stripe_object import UntypedStripeObject
from typing_extensions import get_type_hints, is_typeddict

from referral_rewards.local.sandbox.provider import Provider, Request, Response
from tests.rails.documents import nested

#: What a call takes, and what it answers with: a list of such where it lists.
CALLS: Final[Mapping[tuple[str, str], tuple[type, type]]] = {
    ("GET", "accounts/{}"): (params.AccountRetrieveParams, stripe.Account),
    ("GET", "balance"): (params.BalanceRetrieveParams, stripe.Balance),
    ("POST", "transfers"): (params.TransferCreateParams, stripe.Transfer),
    ("GET", "transfers"): (params.TransferListParams, stripe.Transfer),
    ("POST", "transfers/{}/reversals"): (params.TransferReversalCreateParams, stripe.TransferReversal),
    ("GET", "transfers/{}/reversals"): (params.TransferReversalListParams, stripe.TransferReversal),
    ("POST", "customers/{}/balance_transactions"): (
        params.CustomerBalanceTransactionCreateParams,
        stripe.CustomerBalanceTransaction,
    ),
    ("GET", "customers/{}/balance_transactions"): (
        params.CustomerBalanceTransactionListParams,
        stripe.CustomerBalanceTransaction,
    ),
    ("POST", "coupons"): (params.CouponCreateParams, stripe.Coupon),
    ("GET", "coupons/{}"): (params.CouponRetrieveParams, stripe.Coupon),
    ("POST", "promotion_codes"): (params.PromotionCodeCreateParams, stripe.PromotionCode),
    ("GET", "promotion_codes"): (params.PromotionCodeListParams, stripe.PromotionCode),
    ("GET", "promotion_codes/{}"): (params.PromotionCodeRetrieveParams, stripe.PromotionCode),
    ("POST", "promotion_codes/{}"): (params.PromotionCodeUpdateParams, stripe.PromotionCode),
}
_LISTS: Final = frozenset(path for _, path in CALLS if path.endswith("s") and path != "balance")
_NOTHING: Final = type(None)


def wrong_in(request: Request) -> list[str]:
    """What the SDK's types do not allow of a request, one sentence each."""
    found = _call(request)
    if found is None:
        return [f"the SDK calls no {request.method} /{'/'.join(request.steps)}"]
    given = nested(request.query, ()) if request.method == "GET" else request.document
    return list(_wrong(given, found[1], "$", form=True))


def wrong_in_answer(request: Request, response: Response) -> list[str]:
    """What the SDK's types do not make of a success: names that are missing, unknown or of another kind."""
    found = _call(request)
    if found is None or response.status >= 300:
        return []
    path, _, answers = found
    if request.method == "GET" and path in _LISTS:
        return list(_wrong_list(response.document, answers, "$"))
    return list(_wrong(response.document, answers, "$", form=False))


def hold(provider: Provider) -> None:
    """Raises AssertionError over whatever was sent to Stripe's sandbox, or answered, that is not of its types."""
    found = [f"sent: {said} ({each.method} {each.steps})" for each in provider.asked for said in wrong_in(each)]
    found += [
        f"answered: {said} ({request.method} {request.steps})"
        for request, response in provider.answered
        for said in wrong_in_answer(request, response)
    ]
    if found:
        raise AssertionError("\n".join(dict.fromkeys(found)))


def _call(request: Request) -> tuple[str, type, type] | None:
    for (method, path), (takes, answers) in CALLS.items():
        pattern = "v1/" + path.replace("{}", "[^/]+")
        if method == request.method and re.fullmatch(pattern, "/".join(request.steps)):
            return path, takes, answers
    return None


def _wrong(value: Any, kind: Any, at: str, *, form: bool) -> Iterator[str]:
    """What keeps a value from being of a kind; in a ``form`` all values are texts."""
    origin, within = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        each = [list(_wrong(value, one, at, form=form)) for one in within]
        if all(each):
            yield min(each, key=len)[0]
    elif is_typeddict(kind) or _is_object(kind):
        yield from _wrong_object(value, kind, at, form=form)
    elif origin is Literal:
        if value not in within:
            yield f"{at} is {value!r}, not one of {within}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{at} is no list"
        else:
            for number, one in enumerate(value):
                yield from _wrong(one, within[0], f"{at}[{number}]", form=form)
    elif origin is stripe.ListObject:
        yield from _wrong_list(value, None, at)
    elif origin in (dict, UntypedStripeObject):
        if not isinstance(value, Mapping):
            yield f"{at} is no object"
        else:
            for name, one in value.items():
                yield from _wrong(one, within[-1], f"{at}.{name}", form=form)
    elif not _is_plain(value, kind, form=form):
        yield f"{at} is {value!r}, no {getattr(kind, '__name__', kind)}"


def _wrong_object(value: Any, kind: Any, at: str, *, form: bool) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{at} is no object"
        return
    hints = _hints(kind)
    for name, hint in hints.items():
        optional = get_origin(hint) is NotRequired or (not is_typeddict(kind) and _NOTHING in get_args(hint))
        inner = get_args(hint)[0] if get_origin(hint) is NotRequired else hint
        if name in value:
            yield from _wrong(value[name], inner, f"{at}.{name}", form=form)
        elif not optional:
            yield f"{at}.{name} is missing"
    yield from (f"{at}.{name} is not known" for name in value if name not in hints)


def _wrong_list(value: Any, kind: type | None, at: str) -> Iterator[str]:
    """A page of objects; of which kind is not looked at if that is None."""
    names = {"object", "data", "has_more", "url"}
    if not isinstance(value, Mapping) or set(value) != names or value["object"] != "list":
        yield f"{at} is no list"
        return
    for number, one in enumerate(value["data"]):
        yield from _wrong(one, kind or dict[str, Any], f"{at}.data[{number}]", form=False)


def _is_object(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, stripe.StripeObject) and get_origin(kind) is None


def _is_plain(value: Any, kind: Any, *, form: bool) -> bool:
    if kind is Any:
        return True
    if isinstance(kind, ForwardRef):
        # What may be expanded: it stands there whole, or its name does.
        return isinstance(value, Mapping)
    if form and kind in (int, float):
        return isinstance(value, str) and re.fullmatch(r"-?\d+", value) is not None
    if form and kind is bool:
        return value in ("true", "false")
    return type(value) is kind or (kind is _NOTHING and value is None)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """The names of a type and what stands under each, without what the SDK itself adds to a call."""
    own = {"StripeContext": object, "Mapping": Mapping}
    hints = get_type_hints(kind, localns=own, include_extras=True) if is_typeddict(kind) else kind.__annotations__
    added = stripe.RequestOptions.__annotations__ if is_typeddict(kind) else {"OBJECT_NAME": None}
    return {name: hint for name, hint in hints.items() if name not in added}
