"""Workers that are killed while they store and remove images: a row never stands without its objects."""

import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import requests
from PIL import Image
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from tests.servers import HANG_SECONDS, PATIENT_WITH_MYSQL, PROJECT, UNLIMITED, running_service, wait_until

KILLS = 20
CLIENTS = 4
WORKERS = 2
POSTS = 40  # at ten images each, more than the clients upload
BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


@dataclass
class Told:
    """What a client was told: ids of images by what it must find of them later, and how often no answer came."""

    stored: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    broken: int = 0


class Client:
    """Uploads images to random posts, and now and then removes one of its own."""

    def __init__(self, number: int, posts: list[str], headers: dict[str, str]) -> None:
        output = io.BytesIO()
        Image.new("RGB", (8, 8), (number, 0, 0)).save(output, "PNG")
        self.image = output.getvalue()
        self.chance = random.Random(number)
        self.posts, self.headers = posts, headers
        self.urls: dict[str, str] = {}
        self.told = Told()

    def work(self, ended: threading.Event, progress: threading.Semaphore) -> Told:
        while not ended.is_set():
            try:
                if self.urls and self.chance.random() < 0.3:
                    self.remove()
                else:
                    self.upload()
                    progress.release()
            except BROKEN:
                self.told.broken += 1
        return self.told

    def upload(self) -> None:
        url = self.chance.choice(self.posts)
        answer = requests.post(url, files={"file": ("a.png", self.image)}, headers=self.headers, timeout=HANG_SECONDS)
        assert answer.status_code == 201, answer.text
        media_id = answer.json()["data"]["id"]
        self.urls[media_id] = f"{url}/{media_id}"
        self.told.stored.add(media_id)

    def remove(self) -> None:
        media_id, url = self.urls.popitem()
        self.told.stored.remove(media_id)  # first: without an answer nobody knows
        answer = requests.delete(url, headers=self.headers, timeout=HANG_SECONDS)
        assert answer.status_code == 200, answer.text
        self.told.removed.add(media_id)


def workers_of(master: int) -> set[int]:
    """The living children of a process."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):  # ended since
            continue
        if int(parent) == master and state != "Z":
            found.add(int(stat.parent.name))
    return found


def kill_workers(master: int, folder: Path, progress: threading.Semaphore, chance: random.Random) -> set[int]:
    """Kill one worker or all of them while uploads go on; returns those that were there."""
    wait_until(lambda: len(workers_of(master)) == WORKERS, what="no new worker")
    while progress.acquire(blocking=False):
        pass
    assert progress.acquire(timeout=HANG_SECONDS)
    time.sleep(chance.uniform(0, 0.2))  # an upload takes about 0.1 s
    if chance.random() < 0.7:  # of which storing takes a small part, so that a random moment seldom meets it
        wait_for_an_object(folder)
    workers = workers_of(master)
    for pid in chance.sample(sorted(workers), chance.randint(1, WORKERS)):
        os.kill(pid, signal.SIGKILL)
    return workers


def wait_for_an_object(folder: Path) -> None:
    known, deadline = set(os.listdir(folder)), time.monotonic() + HANG_SECONDS
    while set(os.listdir(folder)) <= known:
        assert time.monotonic() < deadline, "nothing is stored any more"


def log_in(url: str) -> dict[str, str]:
    answer = requests.post(f"{url}/dev/token", json={"username": "ana"}, timeout=HANG_SECONDS).json()
    return {"Authorization": f"Bearer {answer['data']['access_token']}"}


def new_post(url: str, headers: dict[str, str]) -> str:
    """Create a post; returns where its images are uploaded."""
    body = {"title": "제목", "content": "내용"}
    created = requests.post(f"{url}/api/v1/posts", json=body, headers=headers, timeout=HANG_SECONDS)
    return f"{url}{created.headers['Location']}/media"


def rows_of_media(url: str) -> list:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return connection.execute(text("SELECT id, object_key, thumbnail_key FROM media")).all()


def prune(settings: dict[str, str]) -> str:
    command = [sys.executable, "-m", "flask", "--app", "app.py", "images", "prune", "--older-than", "0"]
    done = subprocess.run(
        command, env=settings, cwd=PROJECT, capture_output=True, text=True, check=True, timeout=HANG_SECONDS
    )
    return done.stdout


def test_workers_killed_at_any_moment_leave_orphans_at_worst(new_mysql_database, tmp_path):
    settings = {"DATABASE_URL": new_mysql_database, "WEB_CONCURRENCY": str(WORKERS), **UNLIMITED, **PATIENT_WITH_MYSQL}
    folder, chance = tmp_path / "instance" / "images", random.Random(1)
    ended, progress, workers = threading.Event(), threading.Semaphore(0), set()
    with running_service(tmp_path, **settings) as service, ThreadPoolExecutor(CLIENTS) as pool:
        headers = log_in(service.url)
        posts = [new_post(service.url, headers) for _ in range(POSTS)]
        clients = [pool.submit(Client(number, posts, headers).work, ended, progress) for number in range(CLIENTS)]
        try:
            for _ in range(KILLS):
                workers |= kill_workers(service.process.pid, folder, progress, chance)
        finally:
            ended.set()
        told = [client.result() for client in clients]
        workers |= workers_of(service.process.pid)
    rows = rows_of_media(new_mysql_database)

    kept = {key for row in rows for key in (row.object_key, row.thumbnail_key)}
    found = {file.name: file.read_bytes() for file in folder.iterdir()}
    report = prune({"PATH": os.environ["PATH"], "INSTANCE_PATH": str(tmp_path / "instance")} | settings)

    ids = {row.id for row in rows}
    orphans = [content for name, content in found.items() if name not in kept]
    assert sum(client.broken for client in told) > 0
    assert set().union(*(client.stored for client in told)) <= ids
    assert not set().union(*(client.removed for client in told)) & ids
    assert kept <= found.keys()
    assert all(f"-{hashlib.sha256(found[key]).hexdigest()}." in key for key in kept)
    assert report == f"Removed {len(orphans)} objects ({sum(map(len, orphans))} bytes), left {len(kept)}.\n"
    assert {file.name for file in folder.iterdir()} == kept
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists()] == []
