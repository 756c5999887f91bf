"""A board with made-up posts, some of them with pictures, for measurements and screenshots."""

import io
import math
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFilter

from tests.browser.board import Board
from tests.servers import PROJECT, UNLIMITED, running_service

POSTS = 300
NOW = "2026-11-01T12:00:00+09:00"  # just after the demo data's end, for browsers that are to show the same on any day
SIZE = (1200, 800)
Colour = tuple[int, int, int]


class Scene(NamedTuple):
    """The colours of a landscape: sky above and below, sun, and hills from far to near."""

    above: Colour
    below: Colour
    sun: Colour
    hills: Sequence[Colour]


DAWN = Scene((58, 84, 140), (250, 200, 170), (255, 240, 200), [(140, 130, 165), (92, 96, 140), (52, 64, 104)])
NOON = Scene((96, 170, 226), (220, 240, 250), (255, 255, 235), [(150, 190, 170), (98, 152, 118), (54, 104, 76)])
DUSK = Scene((70, 50, 110), (244, 140, 90), (255, 214, 130), [(150, 84, 110), (100, 58, 92), (54, 36, 66)])


class PicturedPost(NamedTuple):
    """A post to create, with its time in UTC, and its pictures."""

    title: str
    content: str
    category: str
    name: str
    at: str
    scenes: Sequence[Scene]


NOTICE = PicturedPost(
    "[공지] 게시판 이용 안내",
    "서로를 존중하는 글을 부탁드립니다. 광고와 개인 정보는 신고해 주세요.",
    "일반",
    "운영자",
    "2026-10-20 00:30:00.000",
    [],
)
PICTURED = [
    PicturedPost(
        "주말에 다녀온 능선, 해 질 무렵이 제일 좋았어요",
        "토요일 오후에 천천히 올라갔다가 노을을 보고 내려왔습니다. 바람이 조금 불었지만 먼 산까지 보였어요.\n\n"
        "정상까지는 두 시간 반쯤 걸렸고, 길은 대체로 완만했습니다. 해가 지면 금방 추워지니 겉옷은 꼭 챙기세요.",
        "여행",
        "느긋한수달",
        "2026-11-01 00:20:00.000",
        [DUSK, NOON],
    ),
    PicturedPost(
        "새벽 물안개를 찍으려면 몇 시에 가야 할까요?",
        "지난주에는 여섯 시에 도착했는데 벌써 다 걷혔더라고요. 이 사진은 친구가 찍은 것입니다.",
        "여행",
        "부지런한두루미",
        "2026-10-31 22:05:00.000",
        [DAWN],
    ),
]


@contextmanager
def running_demo_board(folder: Path, site: Path, **settings: str) -> Iterator[None]:
    """
    Run the service on SQLite, with demo posts, a pinned notice and posts with pictures, until the block ends.

    Args:
        folder: An empty folder for its data.
        site: The folder of the built site.
        settings: Further settings, ``PORT`` among them.
    """
    with running_service(folder, SITE_PATH=str(site), **UNLIMITED, **settings) as service:
        board = Board(service.url)
        notice = _create(board, NOTICE)
        board.call("PUT", f"/posts/{notice}/pin", name="root", admin=True, json={"scope": "all"})
        _seed(folder)
        ids = {notice: NOTICE.at} | {_create(board, post): post.at for post in reversed(PICTURED)}
        _date(folder, ids)
        yield


def _create(board: Board, post: PicturedPost) -> str:
    """Create a post with its pictures, and return its id."""
    created = board.post(title=post.title, content=post.content, category=post.category, name=post.name)
    board.upload(created["id"], *map(picture, post.scenes), name=post.name)
    return str(created["id"])


def _seed(folder: Path) -> None:
    """Add the demo posts, behind those that are there."""
    command = [sys.executable, "-m", "flask", "--app", "app", "seed-demo", "--posts", str(POSTS)]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env |= {"INSTANCE_PATH": str(folder / "instance")}
    subprocess.run(command, cwd=PROJECT, env=env, check=True, capture_output=True)


def _date(folder: Path, times: Mapping[str, str]) -> None:
    """Give posts the times at which they shall have been created: no request can."""
    with closing(sqlite3.connect(folder / "instance" / "postdb.sqlite3")) as database, database:
        for post_id, at in times.items():
            database.execute("UPDATE posts SET created_at = ?, updated_at = ? WHERE id = ?", (at, at, post_id))


def picture(scene: Scene) -> bytes:
    """Return a landscape as PNG, the same each time."""
    width, height = SIZE
    mask = Image.linear_gradient("L").resize(SIZE)
    image = Image.composite(Image.new("RGB", SIZE, scene.below), Image.new("RGB", SIZE, scene.above), mask)
    draw = ImageDraw.Draw(image)
    draw.ellipse((0.62 * width, 0.2 * height, 0.74 * width, 0.2 * height + 0.12 * width), fill=scene.sun)
    for number, colour in enumerate(scene.hills, 1):
        base, swing = height * (0.3 + 0.16 * number), height * 0.09
        ridge = [
            (x, base - swing * (math.sin(x / width * 7 + 2.1 * number) + 0.4 * math.sin(x / width * 19 + number)))
            for x in range(0, width + 8, 8)
        ]
        draw.polygon([(0, height), *ridge, (width, height)], fill=colour)
    output = io.BytesIO()
    image.filter(ImageFilter.SMOOTH).save(output, "PNG")
    return output.getvalue()
