"""Every business rule and every query. Nothing here knows of HTTP."""

from post.services.categories import create_category, list_categories
from post.services.likes import like_post, like_status, toggle_like, unlike_post
from post.services.lists import list_my_posts, list_posts
from post.services.posts import create_post, delete_post, edit_post, get_post

__all__ = [
    "create_category",
    "create_post",
    "delete_post",
    "edit_post",
    "get_post",
    "like_post",
    "like_status",
    "list_categories",
    "list_my_posts",
    "list_posts",
    "toggle_like",
    "unlike_post",
]
