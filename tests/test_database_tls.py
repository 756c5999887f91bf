"""Whose certificate the database may have, where ``DATABASE_URL`` names the authorities."""

import pytest

from config import ConfigError
from tests.certificates import Authority
from tests.servers import find_mysqld, running_mysql

pytestmark = pytest.mark.skipif(find_mysqld() is None, reason="no MySQL server on this machine")


def running_with(certificate, key):
    return running_mysql(f"--ssl-cert={certificate}", f"--ssl-key={key}")


def readiness(make_app, server, options=""):
    return make_app(DATABASE_URL=server.url + options).test_client().get("/health/ready").status_code


def test_a_database_with_a_certificate_of_the_named_authority_is_used(make_app, tmp_path):
    ours = Authority()
    ssl_ca = ours.write(tmp_path / "ours.pem")

    with running_with(*ours.issue("127.0.0.1", tmp_path)) as server:
        server.run("SET GLOBAL require_secure_transport = ON")

        assert readiness(make_app, server, f"?ssl_ca={ssl_ca}") == 200


@pytest.mark.parametrize(("is_ours", "address"), [(False, "127.0.0.1"), (True, "127.0.0.2")], ids=["issuer", "address"])
def test_a_database_with_another_certificate_is_refused(make_app, tmp_path, is_ours, address):
    ours = Authority()
    ssl_ca = ours.write(tmp_path / "ours.pem")
    issuer = ours if is_ours else Authority()

    with running_with(*issuer.issue(address, tmp_path)) as server:
        with pytest.raises(ConfigError, match=r"^DATABASE_URL: .*CERTIFICATE_VERIFY_FAILED"):
            readiness(make_app, server, f"?ssl_ca={ssl_ca}")

        assert readiness(make_app, server) == 200  # no authority is named
