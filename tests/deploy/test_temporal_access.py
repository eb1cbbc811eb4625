"""How we are let in to Temporal: by an API key or a client certificate, and what is refused before it is tried."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from temporalio.service import TLSConfig
from temporalio.testing import WorkflowEnvironment

from referral_rewards.config.settings import Settings
from referral_rewards.domain.errors import BadInput
from referral_rewards.namespace import missing
from referral_rewards.temporal import connect, target

HOST = "127.0.0.1"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("REFERRALS_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))  # no profile of whoever runs this
    for name in ("certificate", "key", "authority"):
        (tmp_path / name).write_text(name)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, {}),
        ({"ADDRESS": "t:7233", "NAMESPACE": "n"}, {"target_host": "t:7233", "namespace": "n"}),
        ({"API_KEY": "k"}, {"api_key": "k", "tls": True}),
        ({"TLS": "true"}, {"tls": TLSConfig()}),
        (
            {"TLS_CLIENT_CERT_PATH": "certificate", "TLS_CLIENT_KEY_PATH": "key"},
            {"tls": TLSConfig(client_cert=b"certificate", client_private_key=b"key")},
        ),
        (
            {"API_KEY": "k", "TLS_SERVER_CA_CERT_PATH": "authority", "TLS_SERVER_NAME": "name"},
            {"api_key": "k", "tls": TLSConfig(server_root_ca_cert=b"authority", domain="name")},
        ),
    ],
    ids=["nothing", "in-clear", "api-key", "tls", "mtls", "api-key-at-an-authority-of-ours"],
)
def test_what_the_environment_says_is_how_we_connect(
    given: Mapping[str, str], found: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _set(monkeypatch, tmp_path, given)
    assert target() == found


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"API_KEY": "k", "TLS": "false"}, "TEMPORAL_TLS: is off, and TEMPORAL_API_KEY would be sent in clear"),
        ({"TLS_CLIENT_CERT_PATH": "nowhere", "TLS_CLIENT_KEY_PATH": "key"}, "TEMPORAL_TLS_\\*: can't read .*/nowhere"),
        ({"TLS_CLIENT_CERT_PATH": "certificate"}, "TEMPORAL_TLS_CLIENT_KEY_PATH: not set"),
        ({"TLS_CLIENT_KEY_PATH": "key"}, "TEMPORAL_TLS_CLIENT_CERT_PATH: not set"),
        ({"TLS_CLIENT_CERT_PATH": "certificate", "TLS_CLIENT_CERT_DATA": "x"}, "TEMPORAL_\\*: .*Cannot specify both"),
        ({"PROFILE": "nobody"}, "TEMPORAL_\\*: Profile 'nobody' not found"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    given: Mapping[str, str], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _set(monkeypatch, tmp_path, given)
    with pytest.raises(BadInput, match=told):
        target()


async def test_a_server_that_asks_for_a_certificate_lets_in_who_shows_one(
    temporal_env: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = Authority()
    authority.issue("server", tmp_path)
    authority.issue("client", tmp_path)
    Authority().issue("stranger", tmp_path)
    settings = Settings(database_url="postgresql://nobody@nowhere/none", data=tmp_path)
    async with _behind_tls(temporal_env, tmp_path) as port:
        given = {"ADDRESS": f"{HOST}:{port}", "TLS_SERVER_CA_CERT_PATH": "server-authority.pem"}
        for who, let_in in (("client", True), ("stranger", False), (None, False)):
            own = {"TLS_CLIENT_CERT_PATH": f"{who}.pem", "TLS_CLIENT_KEY_PATH": f"{who}-key.pem"} if who else {}
            with monkeypatch.context() as its:
                _set(its, tmp_path, given | own)
                if let_in:
                    assert await missing(await connect(settings)) == ()
                    continue
                with pytest.raises(RuntimeError):
                    await connect(settings)


class Authority:
    """Issues certificates for loopback, of today and tomorrow."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._signed("an authority of the tests", self._key.public_key(), authority=True)

    def issue(self, name: str, folder: Path) -> None:
        """Write NAME.pem, NAME-key.pem, and the authority itself as NAME-authority.pem."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(name, key.public_key(), authority=False)
        plain = serialization.NoEncryption()
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        (folder / f"{name}-key.pem").write_bytes(private)
        for file, each in ((name, certificate), (f"{name}-authority", self._certificate)):
            (folder / f"{file}.pem").write_bytes(each.public_bytes(serialization.Encoding.PEM))

    def _signed(self, name: str, key: ec.EllipticCurvePublicKey, *, authority: bool) -> x509.Certificate:
        today = datetime.now(UTC) - timedelta(hours=1)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if authority else self._certificate.subject
        return (
            x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), today, today + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
            .sign(self._key, hashes.SHA256())
        )


@asynccontextmanager
async def _behind_tls(environment: WorkflowEnvironment, folder: Path) -> AsyncIterator[int]:
    """The port of a server before Temporal's that speaks TLS, and only with whom its authority certified."""
    host, _, port = environment.client.service_client.config.target_host.rpartition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    context.load_verify_locations(folder / "server-authority.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])

    async def carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            there, back = await asyncio.open_connection(host, int(port))
            await asyncio.gather(_carry(reader, back), _carry(there, writer))

    server = await asyncio.start_server(carried, HOST, 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _set(monkeypatch: pytest.MonkeyPatch, folder: Path, given: Mapping[str, str]) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"TEMPORAL_{name}", str(folder / value) if name.endswith("_PATH") else value)
