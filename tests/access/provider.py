"""An OpenID provider on loopback that lies as a test tells it to. It asks for the PKCE verifier of each code."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from referral_rewards.api.openid import challenge_of


@dataclass
class LyingProvider:
    """What it publishes, and what its next token says."""

    issuer: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"}))
    signed_by: Any = None
    algorithm: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    discovered: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    challenge: str = ""
    asked: dict[str, str] = field(default_factory=dict)

    def document(self, path: str) -> Mapping[str, Any] | None:
        known: dict[str, Mapping[str, Any]] = {
            "/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "jwks_uri": f"{self.issuer}/jwks",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                **self.discovered,
            },
            "/jwks": {
                "keys": [
                    self.key.as_dict(private=False),
                    {"kty": "oct", "k": "c2hhcmVkIHNlY3JldCB0aGF0IGV2ZXJ5Ym9keSBrbm93cw", "kid": "shared"},
                ]
            },
            "/userinfo": self.userinfo,
        }
        return known.get(path)

    def token(self, asked: dict[str, str]) -> tuple[int, Mapping[str, Any]]:
        self.asked = asked
        if challenge_of(asked.get("code_verifier", "")) != self.challenge:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": self.id_token()}

    def id_token(self) -> str:
        key = self.signed_by or self.key
        header = {"alg": self.algorithm, "kid": "shared" if isinstance(key, OctKey) else "k1"}
        if self.algorithm == "none":
            return unsigned(header, self.claims)
        return jwt.encode(header, self.claims, key, algorithms=[self.algorithm])


def unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    from base64 import urlsafe_b64encode

    parts = (urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in (header, claims))
    return f"{'.'.join(parts)}."


@contextmanager
def lying_provider() -> Iterator[LyingProvider]:
    """The provider, served for the length of the block."""
    provider = LyingProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = provider.document(urlsplit(self.path).path)
            self._answer(200 if found is not None else 404, found or {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._answer(*provider.token({name: values[0] for name, values in parse_qs(body).items()}))

        def _answer(self, status: int, document: Mapping[str, Any]) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    try:
        yield provider
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
