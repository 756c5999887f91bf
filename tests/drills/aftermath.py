"""What is looked at when a drill is over: what was acknowledged and is not there, and counters that are wrong."""

from sqlalchemy import create_engine, select
from sqlalchemy.pool import NullPool

from post.models import Like, Post
from tests.conftest import wrong_in
from tests.load import API


def rows(server, query):
    with create_engine(server.url, poolclass=NullPool).connect() as connection:
        return connection.execute(query).all()


def lost_writes(server, load):
    """What was acknowledged and is not there: posts, then likes."""
    posts = {row.id for row in rows(server, select(Post.id))}
    liked = {f"{API}/posts/{row.post_id}/like" for row in rows(server, select(Like.post_id))}
    return set(load.created) - posts, {path for path, _ in load.likes} - liked


def wrong_counters(make_app, server):
    return wrong_in(make_app(DATABASE_URL=server.url))
