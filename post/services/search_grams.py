"""Which pairs of characters a text has: what a search looks up, the same on every database."""

from itertools import pairwise

CHARACTER_BITS = 21  # of a code point: up to 10FFFF (Unicode, 2.4)


def search_key(text: str) -> str:
    """
    Return the form of a text in which titles are searched: with its letter case folded, each character by
    itself (Unicode, 3.13: simple case folding), so that a part of a text is folded to a part of the whole's.

    Args:
        text: A title, or what is looked for, in NFC.

    Returns:
        As many characters.
    """
    return text.lower() if text.isascii() else "".join(map(_fold, text))


def _fold(char: str) -> str:
    return next((folded for folded in (char.casefold(), char.lower()) if len(folded) == 1), char)


def grams_of(key: str) -> list[int]:
    """
    Return each character of a title with the one behind it, as a number; behind the last there is none.

    Args:
        key: What ``search_key`` gave.

    Returns:
        Distinct numbers, in the order of the text.
    """
    codes = [*map(ord, key), 0]
    return list(dict.fromkeys(code << CHARACTER_BITS | behind for code, behind in pairwise(codes)))


def pairs_of(key: str) -> list[int]:
    """Return the grams that a title has when it contains a text: those of two characters. Arguments as above."""
    return list(dict.fromkeys(ord(one) << CHARACTER_BITS | ord(other) for one, other in pairwise(key)))


def grams_from(char: str) -> tuple[int, int]:
    """Return the first gram that begins with a character, and the first after all those."""
    return ord(char) << CHARACTER_BITS, (ord(char) + 1) << CHARACTER_BITS
