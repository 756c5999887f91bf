"""Posts as links to them show them elsewhere: title, beginning and first image."""

from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from post.components import components
from post.database.reads import Prepared
from post.models import VISIBLE, Media, Post
from post.services.post_rows import EXCERPT_CHARS

_PREVIEW = Prepared(
    select(Post.title, func.substr(Post.content, 1, EXCERPT_CHARS).label("excerpt"), Post.media_count).where(
        Post.id == bindparam("post_id"), Post.status == VISIBLE
    )
)
_IMAGE = Prepared(
    select(Media.object_key, Media.width, Media.height)
    .where(Media.post_id == bindparam("post_id"))
    .order_by(Media.id)
    .limit(1)
)


class Preview(NamedTuple):
    """
    A visible post's preview.

    Attributes:
        title: Its title.
        description: The first 200 characters of its text.
        image: URL, width and height of its first image; None without images.
    """

    title: str
    description: str
    image: tuple[str, int, int] | None


def preview_post(post_id: str) -> Preview | None:
    """
    Return a visible post's preview; no view is counted.

    Args:
        post_id: Id of the post, 32 hex characters.

    Returns:
        The preview; None for a post that not everybody may see, as for one that was never there.
    """
    values = {"post_id": post_id}
    rows = _PREVIEW.read(values)
    if not rows:
        return None
    images = _IMAGE.read(values) if rows[0].media_count else []
    url = components().image_storage.url
    image = (url(images[0].object_key), images[0].width, images[0].height) if images else None
    return Preview(rows[0].title, rows[0].excerpt, image)
