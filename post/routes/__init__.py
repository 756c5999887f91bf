"""The API's routes: check the request, call one service, answer."""

from post.routes import accounts, categories, likes, media, moderation, posts

BLUEPRINTS = (posts.bp, likes.bp, categories.bp, media.bp, accounts.bp, moderation.bp)
