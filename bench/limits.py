"""
The limits that the service is compared with: the same answers with as little between as there can be.

Flask's routes, PyMySQL and orjson, and nothing else: no checks, no tokens, no rate limits, no CORS, no
ORM. ``/bare`` is Flask alone, which answers with bytes that are there already. Gunicorn runs this
as it runs the service; whoever calls names themselves in ``X-User-Id`` and ``X-Username``.
"""

import os
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Response, request

from bench import limit_reads, limit_writes

BARE_BODY = Path(os.environ["BARE_BODY"]).read_bytes()

app = Flask(__name__)


def _answer(message: str, data: Any, *, status: int = 200, **beside: Any) -> Response:
    body = {"success": True, "message": message, "data": data} | beside
    return Response(orjson.dumps(body), status=status, mimetype="application/json")


@app.get("/health")
def health() -> Response:
    """Tell that the server is there."""
    return _answer("healthy", None)


@app.get("/bare")
def bare() -> Response:
    """Answer with as many bytes as a page of the list has."""
    return Response(BARE_BODY, mimetype="application/json")


@app.get("/api/v1/posts")
def list_posts() -> Response:
    """Answer with a page of the list."""
    posts, meta = limit_reads.page_of(request.args.to_dict())
    return _answer("게시글 목록입니다.", posts, meta=meta)


@app.get("/api/v1/posts/<post_id>")
def get_post(post_id: str) -> Response:
    """Answer with a post."""
    return _answer("게시글입니다.", limit_reads.post(post_id))


@app.post("/api/v1/posts/<post_id>/like")
def toggle_like(post_id: str) -> Response:
    """Like a post, or take the like back."""
    return _answer("좋아요를 눌렀습니다.", limit_writes.toggle_like(post_id, request.headers["X-User-Id"]))


@app.post("/api/v1/posts")
def create_post() -> Response:
    """Create a post."""
    headers = request.headers
    post = limit_writes.create_post(orjson.loads(request.get_data()), headers["X-User-Id"], headers["X-Username"])
    return _answer("게시글을 작성했습니다.", post, status=201)
