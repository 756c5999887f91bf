"""Settings: their defaults, what is refused, and how a wrong one stops the start."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import config
from config import REQUIRED_IN_PRODUCTION, ConfigError, load_config
from tests.servers import HANG_SECONDS, PROJECT, free_port, start_service, stop

PASSWORD = "s3cret-pa55word"
PRODUCTION = {
    "FLASK_ENV": "production",
    "SECRET_KEY": "a-secret-of-the-tests-and-no-other",
    "DATABASE_URL": f"mysql+pymysql://post:{PASSWORD}@db.example:3306/postdb",
    "COGNITO_USER_POOL_ID": "ap-northeast-2_nneGIIVuJ",
    "COGNITO_REGION": "ap-northeast-2",
    "COGNITO_CLIENT_ID": "client",
}
POOL = {name: value for name, value in PRODUCTION.items() if name.startswith("COGNITO")}
SITE = ("https://hhottdogg.shop", "https://www.hhottdogg.shop")


def refusal(**env: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load_config(env)
    return str(refused.value)


# Defaults


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flask_app", "app.py"),
        ("flask_env", "development"),
        ("cognito_user_pool_id", None),
        ("cognito_region", None),
        ("cognito_client_id", ()),
        ("aws_endpoint_url_cognito_identity_provider", None),
        ("cors_origins", (*SITE, "http://localhost:3000", "http://localhost:5173")),
        ("view_window_seconds", 120),
        ("keepalive_seconds", 75),
        ("trusted_proxy_hops", 0),
        ("trusted_proxy_header", "x-forwarded-for"),
        ("ratelimit_read", "600/minute"),
        ("ratelimit_write", "60/minute"),
        ("like_requires_auth", True),
        ("port", 8082),
        ("redis_url", None),
        ("redis_timeout_ms", 25),
        ("web_concurrency", 2),
        ("metrics_port", 9102),
        ("log_level", "INFO"),
        ("slow_query_ms", 500),
        ("otel_exporter_otlp_endpoint", None),
    ],
)
@pytest.mark.parametrize("unset", ["absent", "empty"])
def test_an_unset_variable_takes_its_default(name, value, unset):
    env = {} if unset == "absent" else {name.upper(): ""}

    settings = load_config(env)

    assert getattr(settings, name) == value


def test_development_keeps_its_database_in_a_file_of_the_instance_folder(tmp_path):
    default, moved = load_config({}), load_config({"INSTANCE_PATH": str(tmp_path)})

    assert default.database_url.startswith(f"sqlite:///{PROJECT / 'instance'}/")
    assert moved.database_url.startswith(f"sqlite:///{tmp_path}/")


def test_development_generates_a_secret_key_of_its_own_each_time():
    keys = {load_config({}).secret_key for _ in range(5)}

    assert len(keys) == 5
    assert min(len(key) for key in keys) >= 32


def test_development_without_a_pool_signs_its_own_tokens():
    assert load_config({}).uses_local_issuer is True
    assert load_config(POOL).uses_local_issuer is False


def test_production_with_its_settings_starts():
    settings = load_config(PRODUCTION)

    assert settings.is_production is True
    assert settings.uses_local_issuer is False
    assert settings.cors_origins == SITE


def test_what_is_not_ours_is_left_alone():
    settings = load_config({"PATH": "/bin", "HOME": "/", "port": "x", "SOMETHING": "else", "TESTING": True})

    assert settings.port == 8082


def test_a_replica_is_one_of_a_mysql_server():
    url = "mysql+pymysql://u:p@h/postdb"

    settings = load_config({"DATABASE_URL": url, "DATABASE_REPLICA_URL": url, "DATABASE_REPLICA_LAG_SECONDS": "7"})

    assert settings.database_replica_url == f"{url}?charset=utf8mb4"
    assert (settings.replica_lag_seconds, load_config({}).replica_lag_seconds) == (7, 0)


def test_settings_cannot_be_changed():
    settings = load_config({})

    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1


# Values


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("PORT", "1", 1),
        ("PORT", "65535", 65535),
        ("VIEW_WINDOW_SECONDS", "5", 5),
        ("TRUSTED_PROXY_HOPS", "2", 2),
        ("TRUSTED_PROXY_HEADER", "Forwarded", "forwarded"),
        ("RATELIMIT_READ", "10/second", "10/second"),
        ("LIKE_REQUIRES_AUTH", "false", False),
        ("LIKE_REQUIRES_AUTH", "true", True),
        ("LIKE_REQUIRES_AUTH", "False", False),
        ("LIKE_REQUIRES_AUTH", "0", False),
        ("LOG_LEVEL", "debug", "DEBUG"),
        ("LOG_LEVEL", "WARNING", "WARNING"),
        ("CORS_ORIGINS", "https://a.example", ("https://a.example",)),
        ("CORS_ORIGINS", "https://A.example:8443", ("https://a.example:8443",)),
        ("CORS_ORIGINS", "http://10.0.0.1,http://[::1]:3000", ("http://10.0.0.1", "http://[::1]:3000")),
        ("CORS_ORIGINS", " https://a.example , http://b.example:81,", ("https://a.example", "http://b.example:81")),
        ("DATABASE_URL", "sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("DATABASE_CONNECT_TIMEOUT_SECONDS", "0.5", 0.5),
        ("DATABASE_READ_TIMEOUT_SECONDS", "1.1", 1.1),
        ("DATABASE_POOL_TIMEOUT_SECONDS", "0", 0),
        ("DATABASE_POOL_RECYCLE_SECONDS", "3600", 3600),
        ("DATABASE_REPLICA_LAG_SECONDS", "30", 30),
    ],
)
def test_a_value_is_read(variable, value, expected):
    settings = load_config({variable: value})

    assert getattr(settings, variable.lower()) == expected


@pytest.mark.parametrize("given", ["one,two", " one , two ", "one,,two,", ",one,two"])
def test_client_ids_are_separated_by_commas(given):
    assert load_config(POOL | {"COGNITO_CLIENT_ID": given}).cognito_client_id == ("one", "two")


@pytest.mark.parametrize(
    "url",
    [
        "mysql+pymysql://u:p@h/postdb",
        "mysql+pymysql://u:p@h:3306/postdb?charset=latin1",
        "mysql+pymysql://u:p@h:3306/postdb?ssl_ca=/ca.pem",
    ],
)
def test_a_mysql_url_speaks_utf8mb4(url):
    database_url = load_config({"DATABASE_URL": url}).database_url

    assert "charset=utf8mb4" in database_url
    assert "latin1" not in database_url
    assert ("ssl_ca" in url) == ("ssl_ca" in database_url)


def test_a_password_with_special_characters_is_kept():
    url = "mysql+pymysql://u:p%40ss%2Fw%3Ard@h:3306/postdb"

    assert "p%40ss%2Fw%3Ard@h" in load_config({"DATABASE_URL": url}).database_url


def test_the_issuer_stays_that_of_aws_where_the_endpoint_moves():
    endpoint = "http://localhost:4566/"

    settings = load_config(POOL | {"AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": endpoint})

    assert settings.token_issuer == "https://cognito-idp.ap-northeast-2.amazonaws.com/ap-northeast-2_nneGIIVuJ"
    assert settings.jwks_url == "http://localhost:4566/ap-northeast-2_nneGIIVuJ/.well-known/jwks.json"


def test_the_keys_are_at_the_pools_own_address():
    settings = load_config(POOL)

    assert settings.jwks_url == f"{settings.token_issuer}/.well-known/jwks.json"


# Wrong values

WRONG = {
    "FLASK_ENV": ["prod", "Production", "testing", "0", " production"],
    "DATABASE_URL": [
        "nonsense",
        "postgresql://u:p@h/db",
        "mysql://u:p@h/db",
        "mysql+mysqldb://u:p@h/db",
        "mysql+pymysql://u:p@h:3306",
        "mysql+pymysql://u:p@h:3306/",
        "mysql+pymysql:///postdb",
        "mysql+pymysql://u:p@h:port/postdb",
        "mysql+pymysql://u:p@h:0/postdb",
        "mysql+pymysql://u:p@h:99999/postdb",
        "http://h/postdb",
        "://",
        " ",
    ],
    "DATABASE_REPLICA_URL": [
        "nonsense",
        "sqlite:////tmp/x.db",
        "postgresql://u:p@h/db",
        "mysql+pymysql://u:p@h:3306",
        "mysql+pymysql://u:p@h:0/postdb",
        "mysql+pymysql://u:p@h/postdb?no_such_option=1",
        "mysql+pymysql://u:p@h/postdb",  # of a database that is SQLite
    ],
    "DATABASE_REPLICA_LAG_SECONDS": ["0", "-1", "2.5", "301"],
    "DATABASE_CONNECT_TIMEOUT_SECONDS": ["0", "-1", "soon", "61"],
    "DATABASE_READ_TIMEOUT_SECONDS": ["0", "1", "-1", "soon", "61"],
    "DATABASE_POOL_TIMEOUT_SECONDS": ["-1", "soon", "61"],
    "DATABASE_POOL_RECYCLE_SECONDS": ["0", "-1", "1.5", "never"],
    "REDIS_URL": [
        "nonsense",
        "localhost:6379",
        "http://h:6379",
        "redis://",
        "redis:///0",
        "redis://h:port/0",
        "redis://h:0/0",
        "redis://h:99999/0",
        "redis://h/first",
        "redis://h/0/1",
        "redis://h/0?socket_timeout=10",
        "redis://h/0#x",
        "redis://h h/0",
        "unix:///tmp/redis.sock",
    ],
    "REDIS_TIMEOUT_MS": ["0", "-1", "two", "1.5", "25ms", "1001"],
    "COGNITO_USER_POOL_ID": ["pool", "ap-northeast-2", "ap-northeast-2_", "_x", "ap-northeast-2_a/b", "a b_c"],
    "COGNITO_REGION": ["Seoul", "ap-northeast", "ap_northeast_2", "AP-NORTHEAST-2", "2", "ap-northeast-2.evil.example"],
    "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": ["localhost:4566", "ftp://h", "//h", "http", "http://", "http://a b"],
    "AWS_ENDPOINT_URL_S3": ["http://", "http://h:x", "http://h:0", "https://[::1"],
    "PUBLIC_URL": ["https://a.example/?", "https://a.example/x?y=z", "https://a.example/#x"],
    "COMMENT_SERVICE_URL": ["http://comments?", "http://comments/#"],
    "CORS_ORIGINS": [
        "*",
        "hhottdogg.shop",
        "https://",
        "https://a.example/",
        "https://a.example/path",
        "https://*.example",
        "ftp://a.example",
        "https://a.example,b.example",
        "https://a.example https://b.example",
        "https://a(b.example",
        "https://a$.example",
        "https://[a-z].example",
        "http://[::1",
        "http://[1::2::3]",
        "https://user@a.example",
        "https://a.example:",
        "https://a.example:65536",
        "https://게시판.example",
        "null",
    ],
    "VIEW_WINDOW_SECONDS": ["0", "-1", "two", "1.5", "120s", "10000000000"],
    "TRUSTED_PROXY_HEADER": ["x-real-ip", "forwarded,x-forwarded-for", "3"],
    "TRUSTED_PROXY_HOPS": ["-1", "one", "1.5", "10.0.0.1", "1000"],
    "RATELIMIT_READ": [
        "600",
        "many",
        "600/fortnight",
        "-1/minute",
        "/minute",
        "600 per",
        "minute/600",
        f"1{'0' * 400}/minute",
        "1/999 year",
    ],
    "RATELIMIT_WRITE": ["60", "many", "60/fortnight", "x/minute"],
    "LIKE_REQUIRES_AUTH": ["maybe", "2", "nein"],
    "PORT": ["0", "-1", "65536", "http", "80.5", "8082,8083"],
    "WEB_CONCURRENCY": ["0", "-1", "two", "1.5", "100000"],
    "LOG_LEVEL": ["LOUD", "10", "info,debug"],
    "KEEPALIVE_SECONDS": ["0", "-1", "1.5", "long", "3601"],
    "METRICS_PORT": ["0", "-1", "65536", "http", "8082"],
    "SLOW_QUERY_MS": ["-1", "0.5", "slow", "60001"],
    "OTEL_EXPORTER_OTLP_ENDPOINT": ["localhost:4318", "grpc://localhost:4317", "http://", "http://a b"],
}


@pytest.mark.parametrize(
    ("variable", "value"), [(variable, value) for variable, values in WRONG.items() for value in values]
)
def test_a_wrong_value_is_refused_with_a_line_that_names_it(variable, value):
    env = (POOL if variable.startswith("COGNITO") else {}) | {variable: value}

    said = refusal(**env)

    assert said.count("\n") == 0
    assert said.startswith(f"{variable}: must ")


@pytest.mark.parametrize("left_out", sorted(POOL))
def test_a_pool_is_set_whole_or_not_at_all(left_out):
    env = {name: value for name, value in POOL.items() if name != left_out}

    said = refusal(**env)

    assert said.count("\n") == 0
    assert left_out in said


@pytest.mark.parametrize(
    "url",
    [
        "redis://h",
        "redis://h:6379/",
        "redis://:p%40ss@h:6379/15",
        "rediss://user:p@cache.example:6380/0",
        "redis://[::1]",
    ],
)
def test_a_redis_is_shared_under_one_key(url):
    one, other = (load_config({"REDIS_URL": url}) for _ in range(2))
    with_key = load_config({"REDIS_URL": url, "SECRET_KEY": "s"})

    assert (one.redis_url, one.redis_timeout_ms) == (url, 25)
    assert one.secret_key != other.secret_key
    assert one.names_key == other.names_key
    assert with_key.names_key == "s"


@pytest.mark.parametrize("client_ids", [",", " , ", " "])
def test_a_list_of_no_client_ids_is_refused(client_ids):
    said = refusal(**PRODUCTION | {"COGNITO_CLIENT_ID": client_ids})

    assert said.count("\n") == 0
    assert "COGNITO_CLIENT_ID" in said


def test_each_wrong_variable_has_a_line():
    said = refusal(PORT="http", LOG_LEVEL="LOUD", VIEW_WINDOW_SECONDS="0", DATABASE_URL="nonsense")

    assert sorted(line.partition(":")[0] for line in said.splitlines()) == [
        "DATABASE_URL",
        "LOG_LEVEL",
        "PORT",
        "VIEW_WINDOW_SECONDS",
    ]


def test_several_wrong_items_of_a_list_are_one_line():
    assert refusal(CORS_ORIGINS="*,null,ftp://x").count("\n") == 0


# Production


def test_production_without_settings_has_a_line_for_each_missing_variable():
    said = refusal(FLASK_ENV="production")

    assert [line.partition(":")[0] for line in said.splitlines()] == list(REQUIRED_IN_PRODUCTION)
    assert all(": must be set" in line for line in said.splitlines())


@pytest.mark.parametrize("missing", REQUIRED_IN_PRODUCTION)
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_production_without_one_of_them_names_it(missing, how):
    env = {name: value for name, value in PRODUCTION.items() if name != missing}

    said = refusal(**env | ({missing: ""} if how == "empty" else {}))

    assert said.count("\n") == 0
    assert said.startswith(f"{missing}: must be set")


def test_what_production_requires_is_what_the_specification_says():
    assert set(REQUIRED_IN_PRODUCTION) == set(PRODUCTION) - {"FLASK_ENV"}


# Secrets


@pytest.mark.parametrize("form", [repr, str], ids=["repr", "str"])
def test_settings_never_show_their_secrets(form):
    settings = load_config(PRODUCTION | {"REDIS_URL": f"redis://post:{PASSWORD}@cache.example:6379/0"})

    assert PASSWORD not in form(settings)
    assert PRODUCTION["SECRET_KEY"] not in form(settings)


@pytest.mark.parametrize(
    "env",
    [
        {"DATABASE_URL": f"postgresql://post:{PASSWORD}@db.example/postdb"},
        {"DATABASE_URL": f"mysql+pymysql://post:{PASSWORD}@db.example:3306/"},
        {"DATABASE_URL": f"mysql+pymysql://post:{PASSWORD}@db.example:port/postdb"},
        {"DATABASE_URL": PASSWORD},
        {"DATABASE_URL": PRODUCTION["DATABASE_URL"], "PORT": "http"},
        {"REDIS_URL": f"redis://post:{PASSWORD}@cache.example:port/0"},
        {"REDIS_URL": f"redis://post:{PASSWORD}@cache.example:6379/0", "PORT": "http"},
    ],
    ids=["other database", "no database", "no port", "no URL", "another variable", "no port of Redis", "beside Redis"],
)
def test_a_refusal_never_shows_a_secret(env):
    with pytest.raises(ConfigError) as refused:
        load_config(env)

    assert PASSWORD[:9] not in str(refused.value)
    assert PASSWORD[:9] not in repr(refused.value)
    assert refused.value.__suppress_context__ is True


# The .env file


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A project folder, and a process without settings."""
    monkeypatch.setattr(config, "PROJECT_ROOT", tmp_path)
    for name in config.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path


def test_the_env_file_is_read_in_development(project):
    (project / ".env").write_text("PORT=9000\nRATELIMIT_WRITE='7/minute'\n# LOG_LEVEL=LOUD\n")

    settings = load_config()

    assert (settings.port, settings.ratelimit_write, settings.log_level) == (9000, "7/minute", "INFO")


def test_there_need_be_no_env_file(project):
    assert load_config().port == 8082


def test_the_environment_stands_over_the_env_file(project, monkeypatch):
    (project / ".env").write_text("PORT=9000\nLOG_LEVEL=DEBUG\n")
    monkeypatch.setenv("PORT", "9001")

    settings = load_config()

    assert (settings.port, settings.log_level) == (9001, "DEBUG")


def test_a_wrong_value_in_the_env_file_is_refused_too(project):
    (project / ".env").write_text("PORT=http\n")

    with pytest.raises(ConfigError, match=r"^PORT: must "):
        load_config()


def test_the_env_file_is_not_read_in_production(project, monkeypatch):
    (project / ".env").write_text("".join(f"{name}={value}\n" for name, value in PRODUCTION.items()))
    monkeypatch.setenv("FLASK_ENV", "production")

    with pytest.raises(ConfigError) as refused:
        load_config()

    assert len(str(refused.value).splitlines()) == len(REQUIRED_IN_PRODUCTION)


def test_in_the_image_an_empty_variable_has_the_images_value(project, monkeypatch):
    """``--env-file`` with a line ``FLASK_ENV=`` must not start development, which signs tokens for anybody."""
    (project / "image.env").write_text("FLASK_ENV=production\nHOST=0.0.0.0\n")
    (project / ".env").write_text("PORT=9000\n")
    monkeypatch.setattr(config, "IMAGE_DEFAULTS", project / "image.env")
    for name, value in (PRODUCTION | {"FLASK_ENV": "", "HOST": ""}).items():
        monkeypatch.setenv(name, value)

    settings = load_config()

    assert (settings.is_production, settings.uses_local_issuer, settings.host) == (True, False, "0.0.0.0")
    assert settings.port == 8082
    monkeypatch.setenv("FLASK_ENV", "development")
    assert load_config().is_production is False


@pytest.mark.parametrize("key", ["x", "x" * 15, " " * 16, f"  {'x' * 15}  "])
def test_a_short_key_is_refused_in_production_alone(key):
    with pytest.raises(ConfigError, match=r"^SECRET_KEY: must have 16 characters at least .* openssl rand -hex 32$"):
        load_config(PRODUCTION | {"SECRET_KEY": key})

    assert load_config({"SECRET_KEY": key}).secret_key == key


@pytest.mark.parametrize(
    "url",
    [
        "mysql+pymysql://u:p@secret@host/postdb",
        "mysql+pymysql://u:p@secret:w@host:3306/postdb",
        "mysql+pymysql://u:p@secret/w@host/postdb",
        "mysql+pymysql://u:p@secret?w@host/postdb",
        "mysql+pymysql://u:p?w@secret@host/postdb",
        "mysql+pymysql://u@p:secret@host/postdb",
    ],
)
@pytest.mark.parametrize("variable", ["DATABASE_URL", "DATABASE_REPLICA_URL"])
def test_an_at_sign_in_a_password_is_named_and_the_password_is_not(variable, url):
    with pytest.raises(ConfigError) as refused:
        load_config({"DATABASE_URL": "mysql+pymysql://u:p@host/postdb", variable: url})

    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{variable}: must be mysql+pymysql://user:password@host:3306/database")
    assert "as %40" in line
    assert "secret" not in line
    assert load_config({variable: url.replace("@", "%40", url.count("@") - 1), **OWN[variable]})


OWN = {"DATABASE_URL": {}, "DATABASE_REPLICA_URL": {"DATABASE_URL": "mysql+pymysql://u:p@host/postdb"}}


def test_reading_settings_leaves_the_environment_as_it_was(project):
    (project / ".env").write_text("PORT=9000\n")
    before = dict(os.environ)

    load_config()

    assert dict(os.environ) == before


# The start


def python(code: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | {"INSTANCE_PATH": str(folder)} | env,
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )


def assert_stopped_by_one_line(done: subprocess.CompletedProcess[str], variable: str) -> None:
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith((f"{variable}: must ", f"{variable}: cannot use the database: "))
    assert done.stderr.count("\n") == 1
    assert PASSWORD not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "http"),
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", f"mysql+pymysql://post:{PASSWORD}@127.0.0.1:99999/postdb"),
        ("DATABASE_URL", f"mysql+pymysql://post:{PASSWORD}@127.0.0.1:3306/postdb?no_such_option=1"),
        ("DATABASE_URL", f"mysql+pymysql://post:{PASSWORD}@no-such-host.invalid:3306/postdb"),
        ("DATABASE_URL", "sqlite:////proc/nowhere/postdb.sqlite3"),
        ("DATABASE_URL", "sqlite:////dev/null/postdb.sqlite3"),
        ("INSTANCE_PATH", "/dev/null/instance"),
    ],
    ids=["port", "no URL", "port too large", "unknown option", "unknown host", "no folder", "no file", "instance"],
)
def test_a_wrong_setting_stops_the_application_with_one_line(tmp_path, variable, value):
    done = python("import app; app.app", tmp_path, **{variable: value})

    assert_stopped_by_one_line(done, variable)


def test_a_database_that_does_not_answer_stops_the_application_with_one_line(tmp_path):
    url = f"mysql+pymysql://post:{PASSWORD}@127.0.0.1:{free_port()}/postdb"

    done = python("import app; app.app", tmp_path, DATABASE_URL=url)

    assert_stopped_by_one_line(done, "DATABASE_URL")


def test_importing_the_application_reads_no_settings(tmp_path):
    done = python("import app", tmp_path, PORT="http")

    assert (done.returncode, done.stderr) == (0, "")


def gunicorn(folder: Path, **settings: str) -> tuple[int, str]:
    """Start the service as it is deployed; returns how it ends and what it says."""
    service = start_service(folder, **settings)
    try:
        return service.process.wait(HANG_SECONDS), service.log
    finally:
        stop(service.process)


def test_gunicorn_in_production_without_settings_prints_the_missing_variables_alone(tmp_path):
    code, said = gunicorn(tmp_path, FLASK_ENV="production")

    assert code == 1
    assert said.splitlines() == [f"{name}: must be set when FLASK_ENV=production" for name in REQUIRED_IN_PRODUCTION]


def test_a_port_that_is_taken_is_named_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = gunicorn(tmp_path, PORT=str(port))

    (line,) = [line for line in said.splitlines() if "Starting gunicorn" not in line]
    assert (code, line) == (
        1,
        f"PORT: must be free to listen on: Address already in use (port {port}); choose another, as in PORT={port + 1}",
    )


def test_an_address_of_another_machine_is_named(tmp_path):
    code, said = gunicorn(tmp_path, HOST="192.0.2.1")

    assert (code, said.splitlines()[-1]) == (1, "HOST: must be an address of this machine: 192.0.2.1")


def wrong_settings() -> list[Any]:
    return [
        pytest.param("PORT", {"PORT": "65536"}, id="port"),
        pytest.param(
            "DATABASE_URL", {"DATABASE_URL": f"mysql+pymysql://post:{PASSWORD}@127.0.0.1:1/postdb"}, id="away"
        ),
    ]


@pytest.mark.parametrize(("variable", "settings"), wrong_settings())
def test_gunicorn_with_a_wrong_setting_says_which_without_a_traceback(tmp_path, variable, settings):
    code, said = gunicorn(tmp_path, **settings)

    assert code != 0
    assert "Traceback" not in said
    assert [line for line in said.splitlines() if line.startswith((f"{variable}: must ", f"{variable}: cannot use "))]
    assert PASSWORD not in said
