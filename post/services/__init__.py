"""Every business rule and every query; nothing here knows HTTP."""

from post.services.accounts import deactivate_account, list_deactivated, reactivate_account, restriction_of
from post.services.categories import create_category, list_categories
from post.services.category_changes import delete_category, edit_category, merge_category
from post.services.counters import add_views, hint_comment_count, set_comment_count, store_comment_total
from post.services.idempotency import create_post_once, prune_idempotency_keys
from post.services.likes import like_post, like_status, toggle_like, unlike_post
from post.services.media import delete_media, prune_images, read_image, upload_permissions
from post.services.moderated_users import get_user, suspend_user, unsuspend_user
from post.services.moderation_log import export_log, list_log, missing_guards
from post.services.pages import list_my_posts, list_posts, list_posts_for_admins
from post.services.pins import pin_post, unpin_post
from post.services.posts import create_post, delete_post, edit_post, get_post
from post.services.previews import preview_post
from post.services.purging import purge_post
from post.services.reports import list_reports, report_backlog, report_post, resolve_report
from post.services.tasks import work_at_tasks
from post.services.uploads import upload_media
from post.services.user_posts import delete_posts_of_user
from post.services.verification import Mismatch, count_posts, verify_counters, verify_search

__all__ = [
    "Mismatch",
    "add_views",
    "count_posts",
    "create_category",
    "create_post",
    "create_post_once",
    "deactivate_account",
    "delete_category",
    "delete_media",
    "delete_post",
    "delete_posts_of_user",
    "edit_category",
    "edit_post",
    "export_log",
    "get_post",
    "get_user",
    "hint_comment_count",
    "like_post",
    "like_status",
    "list_categories",
    "list_deactivated",
    "list_log",
    "list_my_posts",
    "list_posts",
    "list_posts_for_admins",
    "list_reports",
    "merge_category",
    "missing_guards",
    "pin_post",
    "preview_post",
    "prune_idempotency_keys",
    "prune_images",
    "purge_post",
    "reactivate_account",
    "read_image",
    "report_backlog",
    "report_post",
    "resolve_report",
    "restriction_of",
    "set_comment_count",
    "store_comment_total",
    "suspend_user",
    "toggle_like",
    "unlike_post",
    "unpin_post",
    "unsuspend_user",
    "upload_media",
    "upload_permissions",
    "verify_counters",
    "verify_search",
    "work_at_tasks",
]
