"""Tokens as Google signs them for a service account, signed by a key of the test."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CALLER = "scheduler@acme.iam.gserviceaccount.com"
AUDIENCE = "https://cost-report.example"
DEPLOYED = {"K_SERVICE": "cost-report", "TRON_FUNCTION_CALLERS": CALLER, "TRON_FUNCTION_AUDIENCES": AUDIENCE}


@dataclass(frozen=True, slots=True)
class Signer:
    """One key pair. `key_id` is its name in tokens and among the published keys."""

    key_id: str = "one"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    @property
    def published(self) -> dict[str, str]:
        encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        return {self.key_id: self.key.public_key().public_bytes(encoding, form).decode()}

    def token(self, header: dict[str, Any] | None = None, **changed: Any) -> str:
        """A token that lets `CALLER` in for the next hour, but for what is changed; None leaves a claim out."""
        now = int(time.time())
        claims = {"iss": "https://accounts.google.com", "aud": AUDIENCE, "iat": now - 5, "exp": now + 3600}
        claims |= {"email": CALLER, "email_verified": True, "sub": "1"} | changed
        claims = {name: value for name, value in claims.items() if value is not None}
        signed = f"{_part({'alg': 'RS256', 'kid': self.key_id} | (header or {}))}.{_part(claims)}"
        signature = self.key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _part(content: dict[str, Any]) -> str:
    return _base64(json.dumps(content).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
