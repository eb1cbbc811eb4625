"""The certificate that the PayPal sandbox signs its events with, under its own root. It is created once and kept."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: The name that PayPal's own certificates are issued to.
NAME: Final = "messageverificationcerts.sandbox.paypal.com"
_LASTS: Final = timedelta(days=3650)


class Certificates(NamedTuple):
    """The signing key, and both certificates as PEM: the one that is published, and its root."""

    key: rsa.RSAPrivateKey
    shown: bytes
    root: bytes


def certificates(folder: Path | None = None, *, name: str = NAME, lasts: timedelta = _LASTS) -> Certificates:
    """Return the folder's certificates, created if it has none; without a folder, new ones."""
    if folder is not None and (folder / "paypal-key.pem").is_file():
        key = serialization.load_pem_private_key((folder / "paypal-key.pem").read_bytes(), None)
        if isinstance(key, rsa.RSAPrivateKey):
            return Certificates(key, (folder / "paypal.pem").read_bytes(), (folder / "paypal-root.pem").read_bytes())
    made = _made(name, lasts)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "paypal.pem").write_bytes(made.shown)
        (folder / "paypal-root.pem").write_bytes(made.root)
        private = made.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "paypal-key.pem").touch(mode=0o600)
        (folder / "paypal-key.pem").write_bytes(private)  # last, so that the other files exist if this one does
    return made


def _made(name: str, lasts: timedelta) -> Certificates:
    root_key, key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root of the sandbox")])
    root = (
        _begun(issuer, issuer, root_key.public_key(), max(lasts, _LASTS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    shown = (
        _begun(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), issuer, key.public_key(), lasts)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return Certificates(key, shown.public_bytes(pem), root.public_bytes(pem))


def _begun(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, lasts: timedelta) -> x509.CertificateBuilder:
    end = datetime.now(UTC) + lasts
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=end - lasts - _LASTS,
        not_valid_after=end,
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
