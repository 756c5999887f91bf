"""Every business rule and every query; nothing here knows HTTP."""

from post.services.accounts import deactivate_account, is_deactivated, list_deactivated, reactivate_account
from post.services.categories import create_category, list_categories
from post.services.counters import add_views, hint_comment_count, set_comment_count, store_comment_total
from post.services.idempotency import create_post_once, prune_idempotency_keys
from post.services.likes import like_post, like_status, toggle_like, unlike_post
from post.services.media import delete_media, prune_images, read_image, upload_permissions
from post.services.pages import list_my_posts, list_posts
from post.services.posts import create_post, delete_post, edit_post, get_post
from post.services.uploads import upload_media
from post.services.verification import Mismatch, count_posts, verify_counters, verify_search

__all__ = [
    "Mismatch",
    "add_views",
    "count_posts",
    "create_category",
    "create_post",
    "create_post_once",
    "deactivate_account",
    "delete_media",
    "delete_post",
    "edit_post",
    "get_post",
    "hint_comment_count",
    "is_deactivated",
    "like_post",
    "like_status",
    "list_categories",
    "list_deactivated",
    "list_my_posts",
    "list_posts",
    "prune_idempotency_keys",
    "prune_images",
    "reactivate_account",
    "read_image",
    "set_comment_count",
    "store_comment_total",
    "toggle_like",
    "unlike_post",
    "upload_media",
    "upload_permissions",
    "verify_counters",
    "verify_search",
]
