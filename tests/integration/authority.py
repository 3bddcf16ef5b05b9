# SPDX-License-Identifier: Apache-2.0
"""An authority for certificates, made on the spot: also such that have expired, are not valid yet, or are for somebody else."""

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _write_key(path, key):
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    path.chmod(0o600)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    def __init__(self, folder, name="test authority"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.n_made = 0
        certificate = self._builder(self.name, self.key, -100, 1000).add_extension(x509.BasicConstraints(True, None), True)
        self.path = self.folder / "ca.pem"
        self.path.write_bytes(certificate.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject, key, from_days, to_days):
        now = datetime.datetime.utcnow()
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
                .serial_number(x509.random_serial_number()).not_valid_before(now + datetime.timedelta(days=from_days))
                .not_valid_after(now + datetime.timedelta(days=to_days)))

    def leaf(self, name="127.0.0.1", from_days=-1, to_days=30):
        """(certificate, key): files, for a host name or address."""
        self.n_made += 1
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            alternative = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            alternative = x509.DNSName(name)
        certificate = self._builder(_name(name), key, from_days, to_days).add_extension(x509.SubjectAlternativeName([alternative]), False)
        paths = self.folder / f"leaf{self.n_made}.pem", self.folder / f"leaf{self.n_made}.key"
        paths[0].write_bytes(certificate.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        _write_key(paths[1], key)
        return paths
