"""Letters over SMTP, against a real mail server that takes them, refuses them, or breaks off."""

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from referral_rewards.notices.envelope import NoAddress, address, envelope
from referral_rewards.notices.port import Delivered, Later, Message, Refused
from referral_rewards.notices.smtp import MailFolder, MailServer, Smtp
from tests.notices.mailbox import SENDER, mailbox

NAME = UUID(int=7)
LETTER = Message(
    NAME, "brie@example.com", "Your reward: 8.00 USD", "Hello,\n\nit was paid – ünïcode.\n", "<p>Hello</p>"
)


async def test_a_letter_arrives_whole_in_both_forms_and_under_its_own_id() -> None:
    async with mailbox() as (box, at):
        assert await Smtp(at(), SENDER).send(LETTER) == Delivered()
    [letter] = box.letters
    assert letter["To"] == "brie@example.com"
    assert letter["From"] == SENDER
    assert letter["Message-ID"] == f"<{NAME}@acme.example>"
    assert letter["Auto-Submitted"] == "auto-generated"
    plain, html = letter.get_body(("plain",)), letter.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n") == LETTER.text
    assert html.get_content().strip() == LETTER.html


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"to_recipient": ["451 later"]}, Later("the mail server answered 451")),
        ({"to_recipient": ["550 brie@example.com is unknown"]}, Refused("the mail server answered 550")),
        ({"to_data": ["452 full"]}, Later("the mail server answered 452")),
        ({"to_data": ["554 no"]}, Refused("the mail server answered 554")),
    ],
)
async def test_a_4xx_passes_and_a_5xx_is_for_good_and_neither_repeats_the_address(answers: Any, outcome: Any) -> None:
    async with mailbox() as (box, at):
        for name, value in answers.items():
            setattr(box, name, value)
        assert await Smtp(at(), SENDER).send(LETTER) == outcome


async def test_a_connection_that_breaks_off_after_the_letter_is_tried_again_under_the_same_id() -> None:
    async with mailbox() as (box, at):
        box.to_data = [None]
        mail = Smtp(at(), SENDER)
        first = await mail.send(LETTER)
        assert isinstance(first, Later)
        assert await mail.send(LETTER) == Delivered()
    assert [letter["Message-ID"] for letter in box.letters] == [f"<{NAME}@acme.example>"] * 2


async def test_a_server_that_is_not_there_is_tried_again() -> None:
    async with mailbox() as (_, at):
        server = at()
    assert isinstance(await Smtp(server, SENDER).send(LETTER), Later)


async def test_a_server_that_drags_out_every_step_is_left_before_the_lease_ends() -> None:
    """Else another postman would take the letter for abandoned, and both would send it."""
    taken: list[bytes] = []

    async def drag(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers = iter([b"220 hello", b"250 hello", b"250 ok", b"250 ok", b"354 go on", b"250 taken", b"221 bye"])
        with suppress(ConnectionError, StopIteration):
            while True:
                await asyncio.sleep(0.15)
                writer.write(next(answers) + b"\r\n")
                if not (line := await reader.readline()):
                    break
                if line == b"DATA\r\n":
                    await asyncio.sleep(0.15)
                    writer.write(next(answers) + b"\r\n")
                    taken.append(await reader.readuntil(b"\r\n.\r\n"))
        writer.close()

    async with await asyncio.start_server(drag, "127.0.0.1", 0) as dragging:
        port = dragging.sockets[0].getsockname()[1]
        mail = Smtp(MailServer("127.0.0.1", port, tls=False, start_tls=False), SENDER, patience_seconds=0.2)
        assert isinstance(await mail.send(LETTER), Later)
    assert taken == []


async def test_a_password_that_is_refused_is_ours_to_mend_and_loses_no_letter(trust: Any) -> None:
    ours, theirs = trust
    async with mailbox(tls_context=ours, signs_in=True) as (box, at):
        wrong = Smtp(at(start_tls=True, user="acme", password="wrong"), SENDER, trust=theirs)
        assert await wrong.send(LETTER) == Later("the mail server refused our sign-in with 535")
        right = Smtp(at(start_tls=True, user="acme", password="right"), SENDER, trust=theirs)
        assert await right.send(LETTER) == Delivered()
    assert {*box.signed_in} == {b"acme:wrong", b"acme:right"}


async def test_a_server_without_tls_or_with_a_foreign_certificate_gets_no_password(trust: Any) -> None:
    ours, _ = trust
    for how, trusted in (({}, None), ({"tls_context": ours}, None)):
        async with mailbox(**how) as (box, at):
            mail = Smtp(at(start_tls=True, user="acme", password="right"), SENDER, trust=trusted)
            assert isinstance(await mail.send(LETTER), Later)
        assert box.signed_in == []
        assert box.letters == []


@pytest.mark.parametrize(
    "to",
    [
        *("", "n/a", "brie", "brie@", "@example.com", "brie@example.com\r\nBcc: all@example.com"),
        *(
            "brie@example.com\n",
            "a@b.example, c@d.example",
            "brie @example.com",
            "x" * 250 + "@example.com",
            "a@b\x00c",
        ),
    ],
)
async def test_what_is_no_address_gets_no_letter_and_adds_no_header(to: str) -> None:
    async with mailbox() as (box, at):
        letter = Message(NAME, to, LETTER.subject, LETTER.text, LETTER.html)
        assert await Smtp(at(), SENDER).send(letter) == Refused("what is on record is no address")
    assert box.tries == 0


def test_a_subject_of_several_lines_is_one_line() -> None:
    made = envelope(
        Message(NAME, "a@b.example", "one\r\nBcc: two@example.com", "t", "h"), SENDER, datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert made["Subject"] == "one Bcc: two@example.com"
    assert made["Bcc"] is None


def test_an_address_may_bear_a_name() -> None:
    assert address("Acme <a@b.example>").display_name == "Acme"
    with pytest.raises(NoAddress):
        address("Acme")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", MailServer("mail.example", 587, tls=False, start_tls=True)),
        ("smtp://u%40x:p%2Fw@mail.example:25", MailServer("mail.example", 25, False, True, "u@x", "p/w")),
        ("smtps://mail.example", MailServer("mail.example", 465, tls=True, start_tls=False)),
        ("smtp://127.0.0.1:1025", MailServer("127.0.0.1", 1025, tls=False, start_tls=False)),
        ("smtp://localhost:1025", MailServer("localhost", 1025, tls=False, start_tls=False)),
    ],
)
def test_a_url_says_how_the_server_is_spoken_to(url: str, server: MailServer) -> None:
    assert MailServer.at(url) == server


@pytest.mark.parametrize("url", ["", "mail.example", "http://mail.example", "smtp://", "smtp://x:99999", "smtp://x/y"])
def test_a_url_that_names_no_server_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(must look like|names a port)"):
        MailServer.at(url)


async def test_a_folder_keeps_letters_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    for _ in range(2):
        assert await MailFolder(folder, SENDER).send(LETTER) == Delivered()
    [file] = folder.iterdir()
    assert file.name == f"{NAME}.eml"
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"To: brie@example.com" in file.read_bytes()


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The TLS of a server whose certificate is its own, and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "both.pem").write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(folder / "both.pem")
    return ours, ssl.create_default_context(cafile=str(folder / "both.pem"))
