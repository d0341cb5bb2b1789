"""Sign-in at an OpenID Connect issuer: authorization code, with PKCE, state and nonce.

    begin ──► the issuer's own page ──► /staff/sign-in/openid/back ──► Promise.redeem ──► a verified e-mail address

Nothing that comes back is believed before it fits what was promised at the beginning, which the browser keeps in a
signed cookie: the state says that this browser began it, the verifier that nobody else redeems the code, the nonce
that the token was made for it. Of the issuer we believe what it signs, by its own keys and by the algorithms below,
and no more: not the algorithm that a token names, and no issuer beside the one in our settings.
"""

import hmac
import ipaddress
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from web.errors import PortalError, Refused
from web.secrecy import given
from web.settings import PortalSettings

__all__ = ["Issuer", "IssuerUnavailable", "Promise"]

ALGORITHMS: Final = (
    "RS256",
    "PS256",
    "ES256",
)  # signatures by a key of the issuer's alone: no `none`, no shared secret
ANSWER_SECONDS: Final = 5.0
BEGUN_SECONDS: Final = 600  # that somebody may take at the issuer's
LEEWAY_SECONDS: Final = 60  # by which the issuer's clock may differ from ours
SCOPE: Final = "openid email"


class IssuerUnavailable(PortalError):
    """The issuer does not answer, or not as an issuer does. The operator's to solve."""


@dataclass(frozen=True)
class Promise:
    """What was begun: kept by the browser that began it."""

    state: str
    nonce: str
    verifier: str
    at: float

    @classmethod
    def new(cls) -> Self:
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48), time.time())

    @classmethod
    def read(cls, kept: object) -> Self:
        """As `kept` was written. Raises Refused for anything else."""
        if not isinstance(kept, dict) or set(kept) != {"state", "nonce", "verifier", "at"}:
            raise Refused("openid: this browser has begun nothing")
        return cls(**kept)

    def kept(self) -> dict[str, Any]:
        return asdict(self)

    def check(self, state: str) -> None:
        if not hmac.compare_digest(self.state.encode(), state.encode()):
            raise Refused("openid: the answer is not for what this browser began")
        if not 0 <= time.time() - self.at <= BEGUN_SECONDS:
            raise Refused("openid: it was begun too long ago")


class Issuer:
    """The one in the settings."""

    def __init__(self, settings: PortalSettings, address: str) -> None:
        self.url = settings.oidc_issuer.rstrip("/")
        self._client = settings.oidc_client_id
        self._secret = given("OIDC_CLIENT_SECRET", settings.oidc_client_secret, settings.oidc_client_secret_file)
        self._back = f"{address}/staff/sign-in/openid/back"
        _check_address(self.url)

    def begin(self, promise: Promise) -> str:
        """Where to send the browser."""
        with self._session() as session:
            found = self._discover(session)
            url, _ = session.create_authorization_url(
                found["authorization_endpoint"],
                state=promise.state,
                nonce=promise.nonce,
                code_verifier=promise.verifier,
            )
            return str(url)

    def redeem(self, promise: Promise, answer: dict[str, str]) -> str:
        """The verified e-mail address of who came back. Raises Refused, or IssuerUnavailable."""
        promise.check(answer.get("state", ""))
        if "error" in answer or not answer.get("code"):
            raise Refused("openid: the issuer let nobody in")
        if "iss" in answer and answer["iss"].rstrip("/") != self.url:
            raise Refused("openid: the answer comes from another issuer")  # two issuers, mixed up by an attacker
        with self._session() as session:
            found = self._discover(session)
            token = self._token(session, found, answer["code"], promise)
            claims = self._claims(session, found, token, promise)
            if "email" not in claims and "userinfo_endpoint" in found:
                claims = claims | self._more(session, found, token, str(claims["sub"]))
        if not isinstance(claims.get("email"), str) or claims.get("email_verified") not in (True, "true"):
            raise Refused("openid: the issuer vouches for no e-mail address")
        return str(claims["email"]).strip().lower()

    def _session(self) -> Any:
        return OAuth2Session(
            self._client,
            self._secret,
            scope=SCOPE,
            redirect_uri=self._back,
            code_challenge_method="S256",
            default_timeout=ANSWER_SECONDS,
        )

    def _discover(self, session: Any) -> dict[str, Any]:
        found = self._get(session, f"{self.url}/.well-known/openid-configuration")
        if str(found.get("issuer", "")).rstrip("/") != self.url:
            raise IssuerUnavailable(f"openid: {self.url}: says that it is another issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            _check_address(str(found.get(name, "")))
        return found

    def _get(self, session: Any, url: str, **more: Any) -> dict[str, Any]:
        try:
            answer = session.get(url, allow_redirects=False, **({"withhold_token": True} | more))
            found = answer.json() if answer.status_code == 200 else None
        except (requests.RequestException, ValueError) as error:
            raise IssuerUnavailable(f"openid: {self.url}: {type(error).__name__}") from None
        if not isinstance(found, dict):
            raise IssuerUnavailable(f"openid: {url}: answers {answer.status_code}, and nothing that can be read")
        return found

    def _token(self, session: Any, found: dict[str, Any], code: str, promise: Promise) -> dict[str, Any]:
        try:
            token = session.fetch_token(
                found["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=promise.verifier,
                allow_redirects=False,
            )
        except AuthlibBaseError:
            raise Refused("openid: the issuer does not know this code") from None
        except (requests.RequestException, ValueError) as error:
            raise IssuerUnavailable(f"openid: {self.url}: {type(error).__name__}") from None
        return dict(token)

    def _claims(self, session: Any, found: dict[str, Any], token: dict[str, Any], promise: Promise) -> dict[str, Any]:
        keys = self._get(session, found["jwks_uri"])
        try:
            read = jwt.decode(str(token["id_token"]), KeySet.import_key_set(keys), algorithms=ALGORITHMS)  # type: ignore[arg-type]
            claims = CodeIDToken(
                read.claims,
                read.header,
                {
                    "iss": {"essential": True, "value": found["issuer"]},
                    "aud": {"essential": True, "value": self._client},
                },
                {"nonce": promise.nonce, "client_id": self._client, "access_token": token.get("access_token")},
            )
            claims.validate(leeway=LEEWAY_SECONDS)
        except (JoseError, AuthlibBaseError, KeyError, ValueError, TypeError) as error:
            raise Refused(f"openid: the token does not hold: {type(error).__name__}") from None
        return dict(claims)

    def _more(self, session: Any, found: dict[str, Any], token: dict[str, Any], subject: str) -> dict[str, Any]:
        """What the issuer tells of them elsewhere; only if it is of the same person."""
        _check_address(str(found["userinfo_endpoint"]))
        session.token = token
        told = self._get(session, found["userinfo_endpoint"], withhold_token=False)
        if told.get("sub") != subject:
            raise Refused("openid: the issuer tells of somebody else")
        return {name: told[name] for name in ("email", "email_verified") if name in told}


def _check_address(url: str) -> None:
    """Over plain HTTP whoever is on the way is the issuer; on this machine nobody is."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and _is_here(parts.hostname or ""):
        return
    raise IssuerUnavailable(f"openid: {url or 'an address that is missing'}: must begin with https://")


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
