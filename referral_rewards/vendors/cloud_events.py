"""Any system that sends CloudEvents 1.0 over HTTP, structured, binary or in batches, with a bearer token."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from referral_rewards.domain.errors import NotGenuine, Problem
from referral_rewards.domain.facts.cloud_events import BINARY, data_of, of_headers
from referral_rewards.vendors import generic
from referral_rewards.vendors.port import Reading, SourceMapping, Told, Unreadable
from referral_rewards.vendors.reading import needed, part
from referral_rewards.vendors.signatures import check_secrets, json_object, same
from referral_rewards.vendors.values import as_told, document

_SCHEME: Final = "bearer"


class CloudEvents:
    """A sender of CloudEvents. It signs nothing: a token stands for it. Its facts are read by `generic`."""

    name = "cloudevents"
    headers: Sequence[str] = ("ce-",)

    def verify(self, secrets: Sequence[str], request: Told, mapping: SourceMapping, now: datetime) -> None:
        """See `Vendor.verify`. The token is in ``Authorization``, or in the header that the source names."""
        check_secrets(secrets)
        header = mapping.header or "authorization"
        told = request.headers.get(header.lower(), "")
        scheme, _, token = told.partition(" ")
        if not same(secrets, [token.strip() if scheme.lower() == _SCHEME else told]):
            raise NotGenuine(f"no token of this source stands in the header {header}")

    def events(self, request: Told) -> Sequence[Told]:
        """Return each event of a batch, or the one that the request is."""
        if BINARY in request.headers:
            return (request,)
        found = document(request.body)
        if not isinstance(found, list):
            return (request,)
        return [request._replace(body=as_told(each)) for each in found]

    def read(self, event: Told, mapping: SourceMapping) -> Reading:
        """See `Vendor.read`."""
        document = _document(event)
        name, source, kind = (needed(document, each) for each in ("id", "source", "type"))
        stamp = part(document, "time")
        at = None if stamp is None else generic.instant(stamp, "time")
        return generic.read(f"{source} {name}", kind, at, document, mapping)


def _document(event: Told) -> Mapping[str, Any]:
    if BINARY in event.headers:
        return of_headers(event.headers, json_object(event.body))
    document = json_object(event.body)
    problems: list[Problem] = []
    data = data_of(document, problems)
    if problems:
        raise Unreadable(problems[0].where, problems[0].what, "JSON in data, or in base64 in data_base64")
    return {**{name: value for name, value in document.items() if name != "data_base64"}, "data": data}
