"""The measured database: its server, its demo data, and a quiet moment before the clock starts."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import pymysql
from pymysql.cursors import Cursor
from sqlalchemy.engine import make_url

from tests.servers import PROJECT, find_mysqld, running_mysql

GIB = 1 << 30
BUFFER_POOL_MAX = 4 * GIB
RESIZE_SECONDS = 60
QUIET_BYTES_PER_SECOND = 1 << 20
QUIET_SECONDS_MAX = 120
IDLE_POLL_SECONDS = 0.05
# The names of users who post during a run: they distinguish these posts from the demo data.
BENCH_NAMES = "bench-%"

# Posts above a number, with their rows in other tables but the counts.
REMOVE_NEW = (
    "DELETE FROM likes WHERE post_id IN (SELECT id FROM posts WHERE `No` > %s)",
    "DELETE FROM search_grams WHERE `No` > %s",
    "DELETE FROM search_titles WHERE `No` > %s",
    "DELETE FROM posts WHERE `No` > %s",
)
MOVE = (
    "UPDATE posts SET created_at = created_at + INTERVAL %s DAY, updated_at = updated_at + INTERVAL %s DAY"
    " WHERE `No` BETWEEN %s AND %s"
)
MOVED_BATCH = 50_000


class Server(NamedTuple):
    """
    The database server.

    Attributes:
        kind: ``MySQL`` or ``MariaDB``.
        version: Its own name of its version.
        buffer_pool_mib: Its memory for tables.
        flushes_at_commit: ``innodb_flush_log_at_trx_commit``: only with 1 does a commit wait for the disk.
        is_encrypted: Its connections use TLS, as PyMySQL prefers where a server offers it.
    """

    kind: str
    version: str
    buffer_pool_mib: int
    flushes_at_commit: int
    is_encrypted: bool


@contextmanager
def server_of(url: str | None, *, name: str) -> Iterator[str]:
    """
    Run or find a server for a database, which need not exist yet.

    Args:
        url: ``mysql+pymysql://…`` of a server; None for a private one that ends with the block.
        name: The database's name, in place of the URL's.

    Yields:
        The database's URL.
    """
    if url is None and find_mysqld() is None:
        raise SystemExit("no server of MySQL's protocol: set DATABASE_URL, or install mariadb-server or mysql-server")
    with nullcontext(url) if url else _durable_mysql() as given:
        parsed = make_url(given)
        if parsed.drivername != "mysql+pymysql":
            raise SystemExit("DATABASE_URL must be mysql+pymysql://…")
        yield parsed.set(database=name).render_as_string(hide_password=False)


@contextmanager
def _durable_mysql() -> Iterator[str]:
    """Run a server whose commits wait for the disk, as production's do; yields its URL."""
    with running_mysql("--skip-log-bin") as server:
        yield server.url


@contextmanager
def cursor_of(url: str, *, database: bool = True) -> Iterator[Cursor]:
    """
    Connect with autocommit; yields a cursor.

    Args:
        url: The database's URL.
        database: False to connect to the server alone.
    """
    parsed = make_url(url)
    connection = pymysql.connect(
        host=parsed.host or "127.0.0.1",
        port=parsed.port or 3306,
        user=parsed.username,
        password=parsed.password or "",
        database=parsed.database if database else None,
        charset="utf8mb4",
        autocommit=True,
    )
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def rows_of(cursor: Cursor, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run a query; returns its rows."""
    cursor.execute(query, values or None)
    return list(cursor.fetchall())


def flask(url: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """
    Run a command of ``flask``.

    Args:
        url: The database's URL.
        folder: The parent of the instance folder.
        arguments: The command and its options.

    Returns:
        The ended process, with its output.
    """
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    env |= {"DATABASE_URL": url, "FLASK_ENV": "development", "INSTANCE_PATH": str(folder / "instance")}
    command = [sys.executable, "-m", "flask", *arguments]
    return subprocess.run(  # noqa: S603 - our own program
        command, env=env, cwd=PROJECT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def require(done: subprocess.CompletedProcess[str]) -> None:
    """End the program with a command's output if it failed."""
    if done.returncode:
        raise SystemExit(f"{' '.join(done.args[2:])}\n{done.stdout}")


def prepare(url: str, folder: Path, *, posts: int, fresh: bool) -> Server:
    """
    Seed a database with the demo data, unless it has them, and wait until its server is quiet.

    Args:
        url: The database's URL.
        folder: The parent of the seeding's instance folder.
        posts: The number of demo posts.
        fresh: Drop an existing database. One with another number of posts is always dropped.

    Returns:
        The server.
    """
    with cursor_of(url, database=False) as cursor:
        server = _enlarge_buffer_pool(cursor)
        if fresh or _demo_posts(cursor, _name(url)) != posts:
            drop(url)
            print(f"Seeding {posts:,} posts in {_name(url)} …", flush=True)
            require(flask(url, folder, "seed-demo", "--posts", str(posts)))
        else:
            print(f"{_name(url)} has its {posts:,} posts already.", flush=True)
            require(flask(url, folder, "db", "upgrade"))
            _remove_new_posts(url, folder)
        _make_recent(url, folder)
    with cursor_of(url) as cursor:
        tables = ", ".join(f"`{table}`" for (table,) in rows_of(cursor, "SHOW TABLES"))
        cursor.execute(f"ANALYZE TABLE {tables}")
        wait_until_quiet(cursor)
    return server


def verify(url: str, folder: Path) -> list[str]:
    """Compare kept counts and the search's index with the posts; returns the commands that find a fault."""
    faults = []
    for command in ("counters", "search"):
        verified = flask(url, folder, command, "verify")
        print(f"flask {command} verify: {verified.stdout.strip()}")
        faults += [f"flask {command} verify"] if verified.returncode else []
    return faults


def drop(url: str) -> None:
    """Drop a database if it exists."""
    with cursor_of(url, database=False) as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS `{_name(url)}`")


def _name(url: str) -> str:
    return str(make_url(url).database)


def _demo_posts(cursor: Cursor, database: str) -> int:
    """Return the number of a database's demo posts; 0 if it does not exist."""
    try:
        ((count,),) = rows_of(
            cursor,
            f"SELECT COUNT(*) FROM `{database}`.posts WHERE username NOT LIKE %s",  # noqa: S608 - a name of our own
            BENCH_NAMES,
        )
    except pymysql.MySQLError:
        return 0
    return int(count)


def _remove_new_posts(url: str, folder: Path) -> None:
    """Remove the posts of an earlier run, so that the board is as before it."""
    with cursor_of(url) as cursor:
        ((last, end),) = rows_of(
            cursor, "SELECT MAX(IF(username LIKE %s, NULL, `No`)), MAX(`No`) FROM posts", BENCH_NAMES
        )
        if last == end:
            return
        for statement in REMOVE_NEW:
            cursor.execute(statement, (last,))
        cursor.execute("ALTER TABLE posts AUTO_INCREMENT = 1")  # InnoDB continues after the last number
    require(flask(url, folder, "counters", "verify", "--repair"))


def _make_recent(url: str, folder: Path) -> None:
    """Move the demo posts, of two years, by whole days, so that the last one is of the last 24 hours."""
    with cursor_of(url) as cursor:
        ((days, last),) = rows_of(
            cursor, "SELECT TIMESTAMPDIFF(DAY, MAX(created_at), UTC_TIMESTAMP()), MAX(`No`) FROM posts"
        )
        if not days:
            return
        for start in range(0, last + 1, MOVED_BATCH):
            cursor.execute(MOVE, (days, days, start, start + MOVED_BATCH - 1))
    require(flask(url, folder, "counters", "verify", "--repair"))


def _enlarge_buffer_pool(cursor: Cursor) -> Server:
    """Give the server memory for the data, if it and the user's rights allow that."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    wanted = min(BUFFER_POOL_MAX, memory // 4)
    if _buffer_pool(cursor) < wanted:
        try:
            cursor.execute("SET GLOBAL innodb_buffer_pool_size = %s", (wanted,))
        except pymysql.MySQLError as exc:
            print(f"The buffer pool stays as it is: {exc.args[-1]}")
        else:
            _wait_for_buffer_pool(cursor, wanted)
    ((version, flushes),) = rows_of(cursor, "SELECT VERSION(), @@innodb_flush_log_at_trx_commit")
    ((_, cipher),) = rows_of(cursor, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    kind = "MariaDB" if "MariaDB" in version else "MySQL"
    return Server(kind, version, _buffer_pool(cursor) >> 20, flushes, is_encrypted=bool(cipher))


def _buffer_pool(cursor: Cursor) -> int:
    ((size,),) = rows_of(cursor, "SELECT @@innodb_buffer_pool_size")
    return int(size)


def _wait_for_buffer_pool(cursor: Cursor, size: int) -> None:
    # MySQL resizes it in the background, and MariaDB may stop at a smaller size.
    deadline = time.monotonic() + RESIZE_SECONDS
    while _buffer_pool(cursor) < size and time.monotonic() < deadline:
        time.sleep(0.1)


def wait_until_quiet(cursor: Cursor) -> None:
    """Wait until the server has flushed earlier writes, for at most ``QUIET_SECONDS_MAX``."""
    deadline = time.monotonic() + QUIET_SECONDS_MAX
    before = _written_bytes(cursor)
    while time.monotonic() < deadline:
        time.sleep(1)
        after = _written_bytes(cursor)
        if after - before < QUIET_BYTES_PER_SECOND:
            return
        before = after
    print("The database server is not quiet; its writes go on.")


def wait_until_idle(cursor: Cursor) -> None:
    """
    Wait until the server runs no statement of others, for at most ``QUIET_SECONDS_MAX``.

    A client that has gone leaves its query: the contender's searches go on for seconds.
    """
    deadline = time.monotonic() + QUIET_SECONDS_MAX
    while time.monotonic() < deadline:
        ((running,),) = rows_of(
            cursor,
            "SELECT COUNT(*) FROM information_schema.processlist WHERE command = 'Query' AND id <> CONNECTION_ID()",
        )
        if not running:
            return
        time.sleep(IDLE_POLL_SECONDS)
    print("The database server is not idle; statements of others go on.")


def _written_bytes(cursor: Cursor) -> int:
    ((_, written),) = rows_of(cursor, "SHOW GLOBAL STATUS LIKE 'Innodb_data_written'")
    return int(written)
