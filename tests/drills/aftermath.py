"""What is looked at when a drill is over: what was acknowledged and is not there, and counters that are wrong."""

from sqlalchemy import create_engine, select
from sqlalchemy.pool import NullPool

from post.models import Like, Post
from tests.conftest import wrong_in
from tests.load import API
from tests.servers import wait_until


def rows(server, query):
    with create_engine(server.url, poolclass=NullPool).connect() as connection:
        return connection.execute(query).all()


def lost_writes(server, load):
    """The writes that were acknowledged and are not there: posts, likes and changes of titles."""
    titles = {f"{API}/posts/{row.id}": row.title for row in rows(server, select(Post.id, Post.title))}
    liked = {f"{API}/posts/{row.post_id}/like" for row in rows(server, select(Like.post_id))}
    return {
        *(f"POST {path}" for path in load.created - titles.keys()),
        *(f"PUT {path}" for path in load.likes - liked),
        *(f"PATCH {path}" for path, title in load.titles.items() if titles.get(path) != title),
    }


def wrong_counters(make_app, server):
    return wrong_in(make_app(DATABASE_URL=server.url))


def assert_nothing_is_lost(name, server, load, make_app, **figures):
    """Print a drill's figures; then, that what was acknowledged is there, and that all counters are right."""
    lost = lost_writes(server, load)
    print(load.figures(name, lost=len(lost), **figures))
    assert lost == set()
    assert wrong_counters(make_app, server) == []


def assert_views_are_counted(server, service, load, path):
    """
    That a post whose every view came from an address of its own shows those that were answered, and none twice.

    Those whose COMMIT was not answered may lack: the log tells of them.
    """
    answered, sent = load.views(path)

    def stored():
        return rows(server, select(Post.view_count).where(Post.id == path.rpartition("/")[2]))[0].view_count

    wait_until(
        lambda: stored() >= answered or "views_in_doubt" in service.log,
        what=f"{answered} views were answered, and are not all there",
    )
    assert 0 < stored() <= sent
