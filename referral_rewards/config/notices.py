"""Settings of notices: the mail server or a folder, and the webhook endpoints."""

import base64
import binascii
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator

from referral_rewards.config.secrets import Secrets, values
from referral_rewards.domain.web_addresses import HttpUrl
from referral_rewards.notices.envelope import NoAddress, address
from referral_rewards.notices.port import Mailer
from referral_rewards.notices.smtp import MailFolder, MailServer, Smtp
from referral_rewards.notices.webhook import Hook

_SIGNING_BYTES_MIN: Final = 24  # the minimum of Standard Webhooks
_EventPattern = Annotated[str, StringConstraints(pattern=r"^[a-z_.]*\*?$", min_length=1)]


class WebhookSettings(BaseModel):
    """An endpoint's URL, the secret (``whsec_…``) that signs its events, and its event types; ``*`` matches any
    ending. While the endpoint changes from one secret to another, events are signed with both."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: HttpUrl
    secret: Secrets
    events: Annotated[tuple[_EventPattern, ...], Field(min_length=1)] = ("*",)

    @field_validator("secret")
    @classmethod
    def _sign(cls, secrets: Secrets) -> Secrets:
        if not all(map(_usable, values(secrets))):
            raise ValueError(f"must be whsec_ and {_SIGNING_BYTES_MIN} bytes or more in base64")
        return secrets


def _usable(secret: str) -> bool:
    prefix, _, key = secret.rpartition("_")
    try:
        return prefix in ("", "whsec") and len(base64.b64decode(key, validate=True)) >= _SIGNING_BYTES_MIN
    except binascii.Error:
        return False


class NoticeSettings(BaseModel):
    """Without a mail server or a folder no letters are sent; without an endpoint no events."""

    smtp_url: SecretStr | None = Field(
        default=None, description="Mail server, as smtp://user:password@host:587 (with STARTTLS) or smtps://…"
    )
    mail_from: str = Field(default="Referral rewards <referrals@localhost>", description="Sender of the letters")
    mail_folder: Path | None = Field(
        default=None, description="Folder for letters as .eml files, if no mail server is set"
    )
    webhooks: dict[str, WebhookSettings] = Field(
        default={}, description='Where events are sent: {"crm": {"url": …, "secret": "whsec_…", "events": ["claim.*"]}}'
    )

    @field_validator("smtp_url")
    @classmethod
    def _names_a_server(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            MailServer.at(url.get_secret_value())
        return url

    @field_validator("mail_from")
    @classmethod
    def _is_an_address(cls, text: str) -> str:
        try:
            address(text)
        except NoAddress:
            raise ValueError("must look like Name <name@example.com>") from None
        return text

    def mailer(self) -> Mailer | None:
        """Return the mailer: the mail server, else the folder, else None."""
        if self.smtp_url is not None:
            return Smtp(MailServer.at(self.smtp_url.get_secret_value()), self.mail_from)
        return MailFolder(self.mail_folder, self.mail_from) if self.mail_folder is not None else None

    def hooks(self) -> dict[str, Hook]:
        """Return the webhook endpoints by name."""
        return {name: Hook(each.url, each.events, values(each.secret)) for name, each in self.webhooks.items()}
