"""Authorities of the tests, and certificates for the servers that they start."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """Signs certificates, each for an address."""

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
        of_authorities = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = self._sign(self._name, self._key, of_authorities)

    def write(self, path):
        """Write the file that clients know it by; returns its path."""
        path.write_bytes(pem(self.certificate))
        return path

    def issue(self, address, folder):
        """Write a certificate and its key; returns their paths."""
        key = ec.generate_private_key(ec.SECP256R1())
        of_address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = self._sign(x509.Name([]), key, of_address)
        pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / "server.pem").write_bytes(pem(certificate))
        (folder / "server.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
        return folder / "server.pem", folder / "server.key"

    def _sign(self, subject, key, extension):
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
        return builder.add_extension(extension, critical=True).sign(self._key, hashes.SHA256())
