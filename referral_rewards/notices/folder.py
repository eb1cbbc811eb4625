"""Letters into a folder instead of to anybody: what a local stack shows of what it would send."""

from datetime import UTC, datetime
from pathlib import Path

from referral_rewards.notices.envelope import NoAddress, envelope
from referral_rewards.notices.port import Delivered, Later, Message, Outcome, Refused


class MailFolder:
    """A folder with a file a letter, readable by its owner only; any mail program opens one."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    async def send(self, message: Message) -> Outcome:
        try:
            made = envelope(message, self._sender, datetime.now(UTC))
        except NoAddress:
            return Refused("what is on record is no address")
        whole = self._folder / f"{message.id}.eml"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = whole.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_bytes(made.as_bytes())
            fresh.replace(whole)
        except OSError as error:
            return Later(f"the folder for letters takes none ({type(error).__name__})")
        return Delivered()
