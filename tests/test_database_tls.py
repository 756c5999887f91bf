"""Whose certificate the database may have, where ``DATABASE_URL`` names the authorities."""

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config import ConfigError
from tests.servers import find_mysqld, running_mysql

pytestmark = pytest.mark.skipif(find_mysqld() is None, reason="no MySQL server on this machine")


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """Signs certificates, each for an address."""

    def __init__(self):
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
        of_authorities = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = self._sign(self._name, self._key, of_authorities)

    def issue(self, address, folder):
        """Write a certificate and its key; returns MySQL's options for them."""
        key = ec.generate_private_key(ec.SECP256R1())
        of_address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        certificate = self._sign(x509.Name([]), key, of_address)
        pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        (folder / "server.pem").write_bytes(pem(certificate))
        (folder / "server.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
        return [f"--ssl-cert={folder}/server.pem", f"--ssl-key={folder}/server.key"]

    def _sign(self, subject, key, extension):
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
        return builder.add_extension(extension, critical=True).sign(self._key, hashes.SHA256())


@pytest.fixture
def authorities(tmp_path):
    """Two: ours, and another; each with its file."""
    both = {"ours": Authority(), "another's": Authority()}
    for name, authority in both.items():
        (tmp_path / f"{name}.pem").write_bytes(pem(authority.certificate))
    return both


def readiness(make_app, server, ssl_ca: Path | None):
    app = make_app(DATABASE_URL=server.url + (f"?ssl_ca={ssl_ca}" if ssl_ca else ""))
    return app.test_client().get("/health/ready").status_code


def test_a_database_with_a_certificate_of_the_named_authority_is_used(make_app, authorities, tmp_path):
    with running_mysql(*authorities["ours"].issue("127.0.0.1", tmp_path)) as server:
        server.run("SET GLOBAL require_secure_transport = ON")

        assert readiness(make_app, server, tmp_path / "ours.pem") == 200


@pytest.mark.parametrize(
    ("issuer", "address"), [("another's", "127.0.0.1"), ("ours", "127.0.0.2")], ids=["authority", "address"]
)
def test_a_database_with_another_certificate_is_refused(make_app, authorities, tmp_path, issuer, address):
    with running_mysql(*authorities[issuer].issue(address, tmp_path)) as server:
        with pytest.raises(ConfigError, match=r"^DATABASE_URL: .*CERTIFICATE_VERIFY_FAILED"):
            readiness(make_app, server, tmp_path / "ours.pem")

        assert readiness(make_app, server, None) == 200  # nobody is named
