"""Post Service: the board (게시판) of a community site."""

__version__ = "1.0.0"
