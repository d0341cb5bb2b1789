"""An OpenID Connect issuer that really listens, and that can be told to lie.

with LyingIssuer() as issuer:
    issuer.claims["nonce"] = "another"       what it signs besides, or instead
    issuer.algorithm = "none"                how
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT: Final = "assay-portal"
SECRET: Final = "known to both"


def _base64(said: bytes) -> str:
    return base64.urlsafe_b64encode(said).rstrip(b"=").decode()


@dataclass
class LyingIssuer:
    """Truthful as long as nobody changes anything."""

    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}))
    signed_with: Any = None  # the published key, unless this is another
    algorithm: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] | None = None  # what userinfo says
    forgets: tuple[str, ...] = ()  # claims that are left out
    down: bool = False
    codes: dict[str, dict[str, str]] = field(default_factory=dict)  # asked for under this code
    asked: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        issuer = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._say(issuer.read(urlsplit(self.path).path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                self._say(issuer.redeem(form, self.headers.get("Authorization", "")))

            def _say(self, answer: tuple[int, dict[str, Any]]) -> None:
                status, said = (503, {}) if issuer.down else answer
                body = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def read(self, path: str) -> tuple[int, dict[str, Any]]:
        self.asked.append(path)
        match path:
            case "/.well-known/openid-configuration":
                ours = {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/keys",
                    "userinfo_endpoint": f"{self.url}/userinfo",
                    "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
                }
                return 200, ours | self.metadata
            case "/keys":
                return 200, {"keys": [self.key.as_dict(private=False)]}
            case "/userinfo" if self.told is not None:
                return 200, self.told
        return 404, {}

    def page(self, address: str) -> dict[str, str]:
        """A person follows `address` to the issuer, and signs in. What their browser brings back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def redeem(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """A code is good once, for the client that shows what the challenge was made of."""
        asked = self.codes.pop(form.get("code", ""), None)
        known = authorization == "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if asked is None or not known:
            return 400, {"error": "invalid_grant"}
        if _base64(hashlib.sha256(form.get("code_verifier", "").encode()).digest()) != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        if form.get("redirect_uri") != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.url,
            "sub": "person-1",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "email": "grace@example.org",
            "email_verified": True,
        }
        claims = {name: value for name, value in (claims | self.claims).items() if name not in self.forgets}
        return 200, {"access_token": "opens", "token_type": "Bearer", "id_token": self.sign(claims)}

    def sign(self, claims: dict[str, Any]) -> str:
        if self.algorithm == "none":
            return ".".join([_base64(b'{"alg":"none"}'), _base64(json.dumps(claims).encode()), ""])
        if self.algorithm == "HS256":  # with what everybody can read, the public key, as if it were a shared secret
            head = _base64(json.dumps({"alg": "HS256", "kid": "one"}).encode())
            said = f"{head}.{_base64(json.dumps(claims).encode())}"
            return f"{said}.{_base64(hmac.digest(self.key.as_pem(private=False), said.encode(), 'sha256'))}"
        header = {"alg": self.algorithm, "kid": "one"}
        return jwt.encode(header, claims, self.signed_with or self.key, algorithms=[self.algorithm])
