"""
Texts that people write: one rule for titles, contents, categories, names, file names and searches.

Nothing here takes more than linear time: lengths and runs of marks are bounded before a text is normalised, since
normalising sorts each run.
"""

import re
from typing import Any
from unicodedata import category, normalize

from post.utils import FILE_NAME_MAX_CHARS

TEXT_MAX_BYTES = 65_535  # MySQL's TEXT ("Data Type Storage Requirements")
MARKS_MAX = 30  # in a row (Unicode Standard Annex 15, 13: "Stream-Safe Text Format")
COMPOSED_MAX = 4  # characters, or bytes for each byte, that NFC makes one of (Unicode Standard Annex 15, 9)
# Unicode's ``Cc`` other than tab, LF and CR, for the brackets of a regular expression.
CONTROL_CHARACTERS = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
_CONTROLS = re.compile(f"[{CONTROL_CHARACTERS}]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
_LINE_BREAK = re.compile("\r\n|[\n\r\u2028\u2029]")
# Latin, Hangul, Han and Kana with their punctuation: no marks, no format characters, and decomposed few marks in a row.
_PLAIN = re.compile(
    "[\x00-\xac\xae-\u02ff\u2010-\u2027\u3000-\u3029\u3041-\u3096\u30a1-\u30fa\u3131-\u318e\u4e00-\u9fff\uac00-\ud7a3]*"
)

# Default_Ignorable_Code_Point (Unicode's DerivedCoreProperties.txt) without ``Cf``; and U+2800, a blank.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e001f\U000e0080-\U000e0fff]"
)
_UNSEEN = ("Cc", "Cf", "Cs", "Mc", "Me", "Mn", "Zl", "Zp", "Zs")  # marks have no base where nothing else is seen

# Prepended_Concatenation_Mark (Unicode's PropList.txt): signs before numbers; and what arranges hieroglyphs.
_VISIBLE_FORMATS = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
    + "".join(map(chr, range(0x13430, 0x13440)))
)

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_TAGS = range(0xE0020, 0xE0080)
_EMOJI = "\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff\U0001f000-\U0001faff"
# Scripts whose letters join: Arabic to Thaana and N'Ko, those of India, Tibetan to Mongolian, Arabic's shapes.
_JOINING = "\u0600-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc"
# Format characters that are part of a sequence, as groups (Unicode Technical Standard 51; Standard 23.2); or others.
_SEQUENCE = re.compile(
    f"(?<=[{_EMOJI}\ufe0f])({_ZWJ})(?=[{_EMOJI}])"
    f"|(?<=[{_JOINING}])([{_ZWNJ}{_ZWJ}])[{_ZWNJ}{_ZWJ}]*(?=[{_JOINING}])"
    "|(?<=\U0001f3f4)([\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f)"
    f"|[{_ZWNJ}{_ZWJ}\U000e0020-\U000e007f]"
)


class TextRefused(ValueError):
    """The text breaks the rule: a key of the message catalogue, with its parameters."""

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(key)
        self.key, self.params = key, params


def read_text(raw: str, *, max_chars: int | None = None, max_bytes: int = TEXT_MAX_BYTES) -> str:
    """
    Return a text of any number of lines as it is stored: in NFC, otherwise as it was written.

    Args:
        raw: The client's.
        max_chars: Characters in NFC; None for no limit but that of bytes.
        max_bytes: Bytes of UTF-8 in NFC.

    Raises:
        TextRefused: It has characters that are not stored, is too long, or nobody can see it.
    """
    _check_characters(raw)
    _check_chars(raw, max_chars, raw=True)
    _check_bytes(raw, max_bytes, raw=True)
    text = compose(raw)
    _check_seen(text)
    _check_chars(text, max_chars)
    return _check_bytes(text, max_bytes)


def read_line(raw: str, *, max_chars: int, folds_space: bool = False, may_be_unseen: bool = False) -> str:
    """
    Return a text of one line as it is stored: in NFC, trimmed, without loose format characters.

    Args:
        raw: The client's. Line breaks become spaces.
        max_chars: Characters in NFC.
        folds_space: Replace each run of white space by one space.
        may_be_unseen: Accept a text that nobody can see, if it is not empty.

    Raises:
        TextRefused: It has characters that are not stored, is too long, or nobody can see it.
    """
    _check_characters(raw)
    line = fold_space(raw) if folds_space else raw.strip()
    _check_chars(line, max_chars, raw=True)
    line = _LINE_BREAK.sub(" ", _drop_formats(compose(line)))
    line = compose(fold_space(line) if folds_space else line.strip())
    if not (line and may_be_unseen):
        _check_seen(line)
    return _check_chars(line, max_chars)


def cut_line(raw: str, *, max_chars: int) -> str | None:
    """
    Return as much of a name as can be stored: read as by ``read_line``, with its space folded, and cut.

    Args:
        raw: Any text.
        max_chars: Characters in NFC.

    Returns:
        1 character or more; None if the text breaks the rule otherwise than by its length.
    """
    cut = fold_space(raw)[: max_chars * COMPOSED_MAX]
    try:
        cut = read_line(cut, max_chars=len(cut) * COMPOSED_MAX, folds_space=True)
        return read_line(cut[:max_chars], max_chars=max_chars)
    except TextRefused:
        return None


def clean_file_name(name: str) -> str:
    """
    Return the name of an uploaded file without folders and characters that cannot be shown.

    Args:
        name: The client's.

    Returns:
        In NFC, at most 255 characters; empty if nobody could see it.
    """
    name = re.split(r"[/\\]", name)[-1]
    return cut_line(_SURROGATES.sub("", _CONTROLS.sub("", name)), max_chars=FILE_NAME_MAX_CHARS) or ""


def text_problem(text: str) -> str | None:
    """
    Return the reason not to store a text, if there is one.

    Args:
        text: Any text.

    Returns:
        ``control_characters``, ``surrogates`` (halves of a UTF-16 pair, which UTF-8 cannot encode), or
        None. Both are keys of the message catalogue.
    """
    if _SURROGATES.search(text):
        return "surrogates"
    return "control_characters" if _CONTROLS.search(text) else None


def compose(text: str) -> str:
    """
    Return a text in NFC.

    Args:
        text: Any text of bounded length.

    Raises:
        TextRefused: It has more than 30 combining marks in a row, in whatever way they are written.
    """
    if _PLAIN.fullmatch(text):
        return normalize("NFC", text)
    # First as they are written, so that decomposing is fast. A text without a mark has few when it is decomposed.
    if (marks := _marks_of(text)) and (_has_long_run(text, marks) or _has_long_run(normalize("NFD", text))):
        raise TextRefused("too_many_marks", maximum=MARKS_MAX)
    return normalize("NFC", text)


def name_key(name: str) -> str:
    """
    Return what a name is compared by: two names that look alike have the same.

    Letter case is folded (Unicode, 3.13: "Default Caseless Matching"), and ignorable characters are left out.

    Args:
        name: From ``read_line``.

    Returns:
        In NFC, up to three times as long.
    """
    return normalize("NFC", fold_space(_IGNORABLE.sub("", name)).casefold())


def fold_space(text: str) -> str:
    """
    Trim a text, and replace each run of white space inside it by one space.

    Args:
        text: Any text.
    """
    return " ".join(text.split())


def _drop_formats(text: str) -> str:
    """Drop the format characters that are part of no sequence; first those that never are, such as bidi controls."""
    if _PLAIN.fullmatch(text):
        return text
    formats = {ord(char) for char in set(text) - _VISIBLE_FORMATS if category(char) == "Cf"}
    some = {ord(_ZWNJ), ord(_ZWJ), *_TAGS} & formats
    text = text.translate(dict.fromkeys(formats - some)) if formats - some else text
    return _SEQUENCE.sub(r"\1\2\3", text) if some else text


def _marks_of(text: str) -> dict[int, str]:
    return {ord(char): _A_MARK for char in set(text) if category(char).startswith("M")}


def _has_long_run(text: str, marks: dict[int, str] | None = None) -> bool:
    return _A_MARK * (MARKS_MAX + 1) in text.translate(marks or _marks_of(text))


_A_MARK = "\u0301"


def _check_characters(text: str) -> None:
    if wrong := text_problem(text):
        raise TextRefused(wrong)


def _check_chars(text: str, maximum: int | None, *, raw: bool = False) -> str:
    if maximum is not None and len(text) > maximum * (COMPOSED_MAX if raw else 1):
        raise TextRefused("text_too_long", maximum=maximum)
    return text


def _check_bytes(text: str, maximum: int, *, raw: bool = False) -> str:
    if len(text.encode()) > maximum * (COMPOSED_MAX if raw else 1):
        raise TextRefused("too_many_bytes", maximum=maximum)
    return text


def _check_seen(text: str) -> None:
    # Most texts begin with a character that is seen; of any other, each distinct one is looked at once.
    if not any(map(_is_seen, text[:1])) and not any(map(_is_seen, set(text))):
        raise TextRefused("blank")


def _is_seen(char: str) -> bool:
    return category(char) not in _UNSEEN and not _IGNORABLE.match(char)
