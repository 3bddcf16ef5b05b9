# SPDX-License-Identifier: Apache-2.0
"""keygen, sign and keys list, without a daemon: what gatewayctl signs is checked by another program, whoever held the private key."""

import base64
import json
import os
import pathlib
import stat
import subprocess
import time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

import harness
from signer import Signer, campaign

SOFTHSM = pathlib.Path("/usr/lib/softhsm/libsofthsm2.so")
COMMAND = {"schema": "gatewayd/command/1", "method": "campaign.continue", "params": {"id": "sensors"}, "aud": ["pi-1"]}


def run(*arguments, folder, **options):
    return subprocess.run([str(harness.GATEWAYCTL), *[str(a) for a in arguments]], cwd=folder, capture_output=True, text=True, timeout=60, **options)


def ok(*arguments, folder, **options):
    answer = run(*arguments, folder=folder, **options)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def refused(name, *arguments, folder, code=3, **options):
    answer = run(*arguments, "--json", folder=folder, **options)
    assert answer.returncode == code, (answer.stdout, answer.stderr)
    error = json.loads(answer.stdout)["error"]
    assert error["name"] == name, error
    return error


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def check(jws, pem):
    """Header and payload of a JWS whose signature is good."""
    head, payload, signature = jws.strip().split(".")
    key = serialization.load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
    data, raw = f"{head}.{payload}".encode(), decode(signature)
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(raw, data)
    else:
        key.verify(utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")), data, ec.ECDSA(hashes.SHA256()))
    return json.loads(decode(head)), json.loads(decode(payload))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "command.json").write_text(json.dumps(COMMAND))
    return tmp_path


@pytest.mark.parametrize("kind,alg", [("ed25519", "EdDSA"), ("p256", "ES256")])
def test_a_pair_of_keys(folder, kind, alg):
    text = ok("keygen", "--type", kind, "ci", folder=folder)
    assert "gateway reload" in text and "/etc/gatewayd/keys" in text
    assert stat.S_IMODE((folder / "ci.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((folder / "ci.pub").stat().st_mode) == 0o644
    pem = (folder / "ci.pub").read_text()
    der = serialization.load_pem_public_key(pem.encode()).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    fingerprint = subprocess.run(["sha256sum"], input=der, capture_output=True, check=True).stdout.decode().split()[0]
    assert fingerprint in text
    before = int(time.time())
    header, payload = check(ok("sign", "command.json", "--key", "ci.key", folder=folder), pem)
    assert header == {"alg": alg, "kid": "ci", "typ": "gatewayd-command+jws"}
    assert {key: payload[key] for key in COMMAND} == COMMAND
    assert before <= payload["iat"] <= time.time() and payload["exp"] - payload["iat"] == 300 and payload["jti"]
    # Nothing is written over, and no half of a pair is left behind.
    private = (folder / "ci.key").read_text()
    refused("file-exists", "keygen", "ci", folder=folder)
    (folder / "ci.pub").unlink()
    refused("file-exists", "keygen", "ci", folder=folder)
    assert (folder / "ci.key").read_text() == private and not (folder / "ci.pub").exists()
    refused("usage", "keygen", "a b", folder=folder, code=2)
    refused("output-failed", "keygen", "nowhere/ci", folder=folder)


def test_documents(folder):
    ok("keygen", "ci", folder=folder)
    pem = (folder / "ci.pub").read_text()
    artifact = {"url": "https://fw.example/app.bin", "size": 5, "sha256": "00" * 32, "compatible": ["acme,r1"]}
    document = campaign(artifact, {"all": True}, exp=None, iat=None)
    (folder / "campaign.json").write_text(json.dumps(document, indent=4))
    header, payload = check(ok("sign", "campaign.json", "--key", "ci.key", "--audience", "group:oslo", "--audience", "pi-*", "--valid", "2 d", folder=folder), pem)
    assert header["typ"] == "gatewayd-campaign+jws"
    assert payload["aud"] == ["group:oslo", "pi-*"] and payload["exp"] - payload["iat"] == 2 * 24 * 3600 and "jti" not in payload
    assert check(ok("sign", "-", "--key", "ci.key", "--kid", "x.2", folder=folder, input=json.dumps(COMMAND)), pem)[0]["kid"] == "x.2"
    # Every mistake at once, and nothing is signed.
    document["devices"], document["policy"]["concurrency"] = {}, 0
    (folder / "campaign.json").write_text(json.dumps(document))
    error = refused("document-invalid", "sign", "campaign.json", "--key", "ci.key", folder=folder)
    assert {mistake["path"] for mistake in error["errors"]} == {"devices", "policy.concurrency"}
    for text in ("{", "[]", "{}", '{"schema": "gatewayd/report/1"}', '{"schema": "gatewayd/command/1", "schema": "gatewayd/command/1"}'):
        (folder / "other.json").write_text(text)
        refused("document-invalid", "sign", "other.json", "--key", "ci.key", folder=folder)
    refused("file-unreadable", "sign", "none.json", "--key", "ci.key", folder=folder)
    refused("usage", "sign", "command.json", "--key", "ci.key", "--valid", "1 h", folder=folder, code=2)
    refused("document-invalid", "sign", "command.json", "--key", "ci.key", "--audience", "Pi", folder=folder)


def test_who_signs(folder):
    ok("keygen", "ci", folder=folder)
    ok("keygen", "--type", "p256", "other", folder=folder)
    sign = ("sign", "command.json")
    refused("signature-required", *sign, folder=folder, code=2)
    refused("usage", *sign, "--key", "ci.key", "--external", "true", folder=folder, code=2)
    refused("usage", *sign, "--external", "true", folder=folder, code=2)
    refused("usage", *sign, "--key", "ci.key", "--kid", "../ci", folder=folder, code=2)
    refused("file-unreadable", *sign, "--key", "none.key", folder=folder)
    refused("key-invalid", *sign, "--key", "ci.pub", folder=folder)
    refused("key-private", *sign, "--key", "ci.key", "--pub", "ci.key", folder=folder)
    refused("signer-mismatch", *sign, "--key", "other.key", "--pub", "ci.pub", folder=folder)
    (folder / "rsa.key").write_text(Signer("rsa", "rsa").private_pem())
    refused("key-type", *sign, "--key", "rsa.key", folder=folder)
    (folder / "p384.key").write_text(Signer("p384", "p384").private_pem())
    refused("key-type", *sign, "--key", "p384.key", folder=folder)


def test_a_program_signs(folder):
    ok("keygen", "--type", "p256", "ci", folder=folder)
    ok("keygen", "ed", folder=folder)
    pem = (folder / "ci.pub").read_text()
    # DER, as OpenSSL and most services write it; and r and s as they are.
    header, _ = check(ok("sign", "command.json", "--pub", "ci.pub", "--external", "openssl dgst -sha256 -sign ci.key", folder=folder), pem)
    assert header == {"alg": "ES256", "kid": "ci", "typ": "gatewayd-command+jws"}
    program = folder / "raw.py"
    program.write_text("import sys\nfrom cryptography.hazmat.primitives import hashes, serialization\n"
                       "from cryptography.hazmat.primitives.asymmetric import ec, utils\n"
                       "key = serialization.load_pem_private_key(open('ci.key', 'rb').read(), None)\n"
                       "r, s = utils.decode_dss_signature(key.sign(sys.stdin.buffer.read(), ec.ECDSA(hashes.SHA256())))\n"
                       "sys.stdout.buffer.write(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))\n")
    check(ok("sign", "command.json", "--pub", "ci.pub", "--external", "/usr/bin/python3 raw.py", folder=folder), pem)
    ed = "openssl pkeyutl -sign -inkey ed.key -rawin -in /dev/stdin"
    check(ok("sign", "command.json", "--pub", "ed.pub", "--external", ed, folder=folder), (folder / "ed.pub").read_text())
    external = lambda command: ("sign", "command.json", "--pub", "ci.pub", "--external", command)  # noqa: E731
    refused("signer-failed", *external("cat >/dev/null; exit 3"), folder=folder)
    refused("signer-failed", *external("kill -9 $$"), folder=folder)
    refused("signer-failed", *external("true"), folder=folder)
    refused("signer-failed", *external("cat"), folder=folder)
    refused("signer-failed", *external("head -c 100000 /dev/zero"), folder=folder)
    refused("signer-mismatch", *external("head -c 64 /dev/urandom"), folder=folder)
    refused("signer-failed", *external("openssl dgst -sha256 -sign ci.key | base64"), folder=folder)


def test_a_key_that_never_leaves_its_token(folder, gateway, image):
    """PKCS#11 over a soft token; and a gateway obeys what it signed."""
    assert SOFTHSM.exists(), "softhsm2 is not installed"
    (folder / "tokens").mkdir()
    (folder / "softhsm.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    environment = dict(os.environ, SOFTHSM2_CONF=str(folder / "softhsm.conf"), PKCS11_MODULE_PATH=str(SOFTHSM))
    ok("keygen", "--type", "p256", "ci", folder=folder)
    util = lambda *arguments: subprocess.run(["softhsm2-util", *arguments], env=environment, cwd=folder, check=True, capture_output=True)  # noqa: E731
    util("--init-token", "--free", "--label", "acme", "--pin", "1234", "--so-pin", "5678")
    util("--import", "ci.key", "--token", "acme", "--label", "ci", "--id", "01", "--pin", "1234")
    (folder / "ci.key").unlink()
    (folder / "pin").write_text("1234")
    uri = "pkcs11:token=acme;object=ci"
    pem = (folder / "ci.pub").read_text()
    for key in (f"{uri}?pin-value=1234", f"{uri}?pin-source=file:{folder}/pin"):
        header, _ = check(ok("sign", "command.json", "--key", key, "--kid", "ci", folder=folder, env=environment), pem)
        assert header == {"alg": "ES256", "kid": "ci", "typ": "gatewayd-command+jws"}
    check(ok("sign", "command.json", "--key", f"{uri}?pin-value=1234", "--pub", "ci.pub", folder=folder, env=environment), pem)
    refused("usage", "sign", "command.json", "--key", uri, folder=folder, code=2, env=environment)
    wrong = ("sign", "command.json", "--kid", "ci", "--key")
    refused("signer-failed", *wrong, "pkcs11:token=acme;object=none?pin-value=1234", folder=folder, env=environment)
    refused("signer-failed", *wrong, f"{uri}?pin-value=9999", folder=folder, env=environment, stdin=subprocess.DEVNULL)
    refused("signer-failed", *wrong, f"{uri}?pin-value=1234", folder=folder, env=dict(environment, PKCS11_MODULE_PATH="/nonexistent.so"))

    keys = folder / "keys"
    keys.mkdir(mode=0o755)
    (keys / "ci.pub").write_text(pem)
    gw = gateway("", f"[trust]\nkeys_dir = {keys}\n")
    path, _ = image("1.1.0")
    artifact = {"url": "https://fw.example/app.bin", "size": path.stat().st_size, "sha256": gw.import_file(path)["artifact"]["sha256"],
                "compatible": ["simboard"]}
    (folder / "campaign.json").write_text(json.dumps(campaign(artifact, {"all": True})))
    jws = ok("sign", "campaign.json", "--key", f"{uri}?pin-value=1234", "--kid", "ci", folder=folder, env=environment).strip()
    assert gw.call("campaign.start", {"jws": jws})["campaign"]["state"] == "in_progress"


def test_the_keys_of_a_directory(folder):
    keys = folder / "keys"
    keys.mkdir(mode=0o755)
    assert "No key" in ok("keys", "list", "--dir", "keys", folder=folder)
    anna, ci = Signer("anna"), Signer("ci", "p256")
    anna.install(keys)
    ci.install(keys, "drivers = smp-udp\naudience = pi-*\nmay_downgrade = no\nexpires = 2020-01-01T00:00:00Z")
    listed = json.loads(ok("keys", "list", "--dir", "keys", "--json", folder=folder))
    assert [key["kid"] for key in listed["keys"]] == ["anna", "ci"] and listed["left_out"] == []
    assert listed["keys"][1]["scope"] == {"drivers": ["smp-udp"], "audience": ["pi-*"], "may_downgrade": False, "expires": "2020-01-01T00:00:00Z"}
    text = ok("keys", "list", "--dir", "keys", folder=folder)
    assert "expired" in text and "smp-udp" in text and listed["keys"][0]["fingerprint"] in text
    Signer("rsa", "rsa").install(keys)
    answer = run("keys", "list", "--dir", "keys", folder=folder)
    assert answer.returncode == 1 and "rsa.pub" in answer.stdout and "key-type" in answer.stdout
    keys.chmod(0o777)
    refused("keys-unreadable", "keys", "list", "--dir", "keys", folder=folder)
