# SPDX-License-Identifier: Apache-2.0
"""A signer of campaigns and commands written apart from gatewayctl, over Python's cryptography: it can also make what no signer should."""

import base64
import json
import os
import pathlib
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils

CAMPAIGN = "gatewayd-campaign+jws"
COMMAND = "gatewayd-command+jws"


def b64(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()


class Signer:
    """One key. kind: ed25519, p256, or one that the gateway must not take: p384, rsa."""

    def __init__(self, kid="ci", kind="ed25519"):
        self.kid = kid
        self.kind = kind
        self.key = {"ed25519": ed25519.Ed25519PrivateKey.generate, "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
                    "p384": lambda: ec.generate_private_key(ec.SECP384R1()), "rsa": lambda: rsa.generate_private_key(65537, 2048)}[kind]()
        self.alg = {"ed25519": "EdDSA", "p256": "ES256", "p384": "ES384", "rsa": "RS256"}[kind]

    def public_pem(self):
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    def private_pem(self):
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()

    def install(self, directory, scope=""):
        """Writes <kid>.pub; the gateway sees it after a start or a reload."""
        directory = pathlib.Path(directory)
        directory.mkdir(mode=0o755, exist_ok=True)
        path = directory / f"{self.kid}.pub"
        path.write_text((f"[scope]\n{scope}\n" if scope else "") + self.public_pem())
        path.chmod(0o644)
        return path

    def signature(self, data):
        if self.kind == "ed25519":
            return self.key.sign(data)
        r, s = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def jws(self, payload, typ=CAMPAIGN, header=None):
        """payload: an object, or bytes as they are. header: its members, or bytes, in place of the right ones."""
        if header is None:
            header = {"alg": self.alg, "kid": self.kid, "typ": typ}
        text = f"{b64(header)}.{b64(payload)}"
        return f"{text}.{b64(self.signature(text.encode()))}"

    def command(self, method, params=None, aud=("test-gateway",), now=None, **claims):
        now = int(time.time() if now is None else now)
        payload = {"schema": "gatewayd/command/1", "method": method, "aud": list(aud), "iat": now, "exp": now + 300, "jti": os.urandom(12).hex()}
        if params is not None:
            payload["params"] = params
        payload.update(claims)
        return self.jws({k: v for k, v in payload.items() if v is not None}, COMMAND)


def campaign(artifact, devices, name="signed-1", aud=("test-gateway",), now=None, policy=None, **members):
    """The payload of a signed campaign, valid now, that starts at once."""
    now = int(time.time() if now is None else now)
    document = {"schema": "gatewayd/campaign/1", "id": name, "revision": 1, "aud": list(aud), "iat": now, "exp": now + 3600,
                "artifacts": [artifact], "devices": devices, "policy": {"start_jitter_s": 0, **(policy or {})}}
    document.update(members)
    return {k: v for k, v in document.items() if v is not None}
