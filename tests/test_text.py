"""The one rule for texts: what is kept, what is refused, what looks alike; and it costs the same whatever is sent."""

import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from post.text import _PLAIN, MARKS_MAX, TextRefused, clean_file_name, cut_line, name_key, read_line, read_text
from post.validators import fields
from tests.answers import fault, wrong_fields

POSTS = "/api/v1/posts"
CATEGORIES = "/api/v1/categories"
EVERY_CHARACTER = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
UNSEEN = {
    "hangul-filler": "\u3164",
    "halfwidth-filler": "\uffa0",
    "choseong-filler": "\u115f",
    "jungseong-filler": "\u1160",
    "zero-width-space": "\u200b",
    "joiners": "\u200c\u200d",
    "word-joiner": "\u2060",
    "byte-order-mark": "\ufeff",
    "soft-hyphen": "\u00ad",
    "right-to-left-override": "\u202e",
    "isolates": "\u2066\u2069",
    "braille-blank": "\u2800",
    "combining-grapheme-joiner": "\u034f",
    "variation-selectors": "\ufe0f\ufe0e\U000e0100",
    "mongolian-vowel-separator": "\u180e",
    "tags": "\U000e0041\U000e007f",
    "khmer-inherent-vowel": "\u17b4",
    "unassigned-ignorable": "\ufff0",
    "mark-alone": "\u0301",
    "marks-after-space": "  \u0301\u20dd",
    "no-break-space": "\u00a0",
    "line-separator": "\u2028",
}
SEQUENCES = {
    "family": "👩‍👩‍👧‍👦",
    "heart-on-fire": "❤️‍🔥",
    "profession-with-skin": "👩🏽‍💻",
    "flag-of-england": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "keycap": "1️⃣",
    "persian": "می\u200cخواهم",
    "arabic-joiner": "ه\u200dه",
    "sinhala": "ශ්\u200dරී ලංකා",
    "devanagari": "क्\u200dष",
    "old-hangul": "\u1112\u119e\u11ab",
}
VISIBLE_FORMATS = [chr(code) for code in [*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD]]
VISIBLE_FORMATS += map(chr, range(0x13430, 0x13440))
LOOSE = {
    "zero-width-space": ("여\u200b행", "여행"),
    "bidi": ("a\u202egnp.exe\u202c", "agnp.exe"),
    "isolates": ("\u2066a\u2069", "a"),
    "marks-of-direction": ("\u200ea\u200f\u061c", "a"),
    "joiner-in-latin": ("a\u200db", "ab"),
    "joiner-at-the-end": ("می\u200c", "می"),
    "joiner-after-emoji": ("😀\u200d", "😀"),
    "two-joiners-are-one": ("می\u200c\u200cخ", "می\u200cخ"),
    "bidi-within-a-sequence": ("👩\u202e\u200d💻", "👩\u200d💻"),
    "hidden-tags": ("😀\U000e0068\U000e0069", "😀"),
    "hidden-tags-on-a-flag": ("🏴\U000e0068\U000e0069", "🏴"),
    "soft-hyphen": ("게\u00ad시판", "게시판"),
}
with_unseen = pytest.mark.parametrize("unseen", UNSEEN.values(), ids=UNSEEN)
with_sequences = pytest.mark.parametrize("sequence", SEQUENCES.values(), ids=SEQUENCES)


@pytest.fixture
def create(client, as_user):
    def send(**fields):
        return client.post(POSTS, json={"title": "t", "content": "c"} | fields, headers=as_user("ana"))

    return send


# A character that can be seen


@pytest.mark.parametrize("field", ["title", "content", "category"])
@with_unseen
def test_a_text_that_nobody_can_see_is_refused(create, field, unseen):
    response = create(**{field: unseen})

    assert fault(response) == (400, "validation_error")
    assert wrong_fields(response) == {field}


@with_unseen
def test_a_category_that_nobody_can_see_is_refused(client, as_user, unseen):
    response = client.post(CATEGORIES, json={"name": unseen}, headers=as_user("ana"))

    assert fault(response) == (400, "validation_error")


@with_unseen
def test_beside_a_visible_character_they_are_kept_in_a_content(create, unseen):
    assert create(content=f"가{unseen}").json["data"]["content"] == f"가{unseen}"


@pytest.mark.parametrize("field", ["title", "content", "category"])
@with_sequences
def test_what_people_write_is_kept(create, field, sequence):
    decomposed = unicodedata.normalize("NFD", sequence)

    response = create(**{field: decomposed})

    assert response.json["data"][field] == sequence


@pytest.mark.parametrize("text", ["😀", "가", "\u1112", "中", "⠓", "\ue000", "\u0378", "\U0001fadf"])
def test_one_character_of_any_kind_is_enough(text):
    assert read_line(text, max_chars=1) == text


def test_the_pattern_of_the_document_promises_nothing_that_is_refused():
    some = [char for char in EVERY_CHARACTER if fields.re.match(f"[{fields._SEEN}]", char)]

    assert len(some) > 100_000
    for char in some:
        assert read_line(char, max_chars=3), hex(ord(char))


# Names of one line


@pytest.mark.parametrize(("written", "kept"), LOOSE.values(), ids=LOOSE)
def test_a_name_loses_format_characters_that_are_part_of_nothing(written, kept):
    assert read_line(written, max_chars=50) == kept
    assert cut_line(written, max_chars=50) == kept
    assert clean_file_name(f"{written}.png") == f"{kept}.png"


@pytest.mark.parametrize(("written", "kept"), LOOSE.values(), ids=LOOSE)
def test_a_content_is_given_back_as_it_was_written(written, kept):
    assert read_text(written) == written != kept


@pytest.mark.parametrize("lines", ["첫 줄\n둘째", "첫 줄\r\n둘째", "첫 줄\r둘째", "첫 줄\u2028둘째", "첫 줄\u2029둘째"])
def test_line_breaks_of_a_title_become_spaces(create, lines):
    assert create(title=f"\n{lines}\n").json["data"]["title"] == "첫 줄 둘째"


@pytest.mark.parametrize("visible", VISIBLE_FORMATS, ids=ascii)
def test_a_format_character_that_is_seen_is_kept_in_a_name(visible):
    assert read_line(f"{visible}١٢", max_chars=3) == f"{visible}١٢"
    assert name_key(f"{visible}١٢") != name_key("١٢")


def test_no_format_character_is_left_alone_in_a_name():
    formats = [char for char in EVERY_CHARACTER if unicodedata.category(char) == "Cf" and char not in VISIBLE_FORMATS]

    assert len(formats) > 130
    assert {read_line(f"a{char}b", max_chars=3) for char in formats} == {"ab"}


def test_a_plain_character_is_no_mark_and_no_format_and_is_made_of_one_letter_with_two_marks_at_most():
    plain = [char for char in EVERY_CHARACTER if _PLAIN.fullmatch(char)]
    parts = [[unicodedata.category(part)[0] for part in unicodedata.normalize("NFD", char)] for char in plain]

    assert {*"aé가ㄱ漢あ-…。"} <= {*plain}
    assert not {char for char in plain if unicodedata.category(char) == "Cf"}
    assert not [kinds for kinds in parts if kinds[0] == "M" or kinds.count("M") > 2]


@given(st.text(st.sampled_from("a가ش😀❤\ufe0f\u200c\u200d\u202e\u0301\u3164 \U000e0067\U000e007f🏴")))
def test_reading_a_name_again_changes_nothing(text):
    try:
        read = read_line(text, max_chars=100, folds_space=True)
    except TextRefused:
        return
    assert read_line(read, max_chars=100, folds_space=True) == read
    assert cut_line(read, max_chars=100) == read


# Look-alikes


@pytest.mark.parametrize("place", ["여행{}", "{}여행", "여{}행"])
@pytest.mark.parametrize(
    "unseen", [text for name, text in UNSEEN.items() if not name.startswith(("mark", "no-break", "line"))]
)
def test_categories_that_look_alike_are_one(client, as_user, create, place, unseen):
    first = create(category="여행").json["data"]

    again = create(category=place.format(unseen))
    taken = client.post(CATEGORIES, json={"name": place.format(unseen)}, headers=as_user("ana"))
    found = client.get(POSTS, query_string={"category": place.format(unseen)})

    assert (again.json["data"]["category"], again.json["data"]["category_id"]) == ("여행", first["category_id"])
    assert fault(taken) == (409, "category_exists")
    assert found.json["meta"]["total"] == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [("👩‍👩‍👧", "👩👩👧"), ("می\u200cخواهم", "میخواهم"), (SEQUENCES["flag-of-england"], "🏴"), ("여 행", "여행")],
    ids=["joined", "persian", "flag", "space"],
)
def test_names_that_look_different_are_two(one, other):
    assert name_key(one) != name_key(other)


def test_a_title_is_found_by_what_was_pasted_into_the_search(client, create):
    create(title="게\u00ad시\u200b판")

    response = client.get(POSTS, query_string={"q": "게시\u200b판"})

    assert [post["title"] for post in response.json["data"]] == ["게시판"]


def test_a_search_for_nothing_but_format_characters_is_refused(client):
    response = client.get(POSTS, query_string={"q": "\u200b"})

    assert wrong_fields(response) == {"q"}


# Runs of marks


@pytest.mark.parametrize("field", ["title", "content", "category", "q"])
@pytest.mark.parametrize(
    ("marks", "is_kept"),
    [
        ("\u0301" * 30, True),
        ("\u0301" * 31, False),
        ("\u0301" * 15 + "\u0316" * 16, False),
        ("\u0344" * 15, True),  # is two marks
        ("\u0344" * 16, False),
        ("\u20dd" * 31, False),  # marks that are not sorted
        ("\u0301" * 20 + "b" + "\u0301" * 20, True),
    ],
    ids=["30", "31", "of-two-classes", "15-pairs", "16-pairs", "enclosing", "twice-20"],
)
def test_more_than_30_marks_in_a_row_are_refused(client, create, *, field, marks, is_kept):
    text = f"x{marks}"

    response = client.get(POSTS, query_string={"q": text}) if field == "q" else create(**{field: text})

    assert (response.status_code in (200, 201)) == is_kept
    if not is_kept:
        assert wrong_fields(response) == {field}
        assert str(MARKS_MAX) in response.json["error"]["details"][0]["message"]


def test_a_letter_that_has_a_mark_counts_with_it():
    with pytest.raises(TextRefused):
        read_text("é" + "\u0316" * 30)


# Lengths, before and after NFC


def test_no_text_is_refused_for_its_length_before_nfc_that_would_fit_after_it():
    """The longest way to write each character is within the bounds that hold before NFC."""
    singles: dict[str, str] = {}
    for char in EVERY_CHARACTER:
        composed = unicodedata.normalize("NFC", char)
        if len(composed) == 1 and len(char.encode()) >= len(singles.get(composed, composed).encode()):
            singles[composed] = char
    for char in EVERY_CHARACTER:
        if unicodedata.normalize("NFC", char) == char:
            longest = "".join(singles.get(part, part) for part in unicodedata.normalize("NFD", char))
            if unicodedata.normalize("NFC", longest) == char:
                assert len(longest) <= 4
                assert len(longest.encode()) <= 4 * len(char.encode())


def test_the_bounds_are_those_of_nfc(create):
    decomposed = unicodedata.normalize("NFD", "각")

    assert create(title=decomposed * 200, content=decomposed * 21_845, category=decomposed * 50).status_code == 201
    assert wrong_fields(create(title=decomposed * 201)) == {"title"}
    assert wrong_fields(create(content=decomposed * 21_846)) == {"content"}
    assert wrong_fields(create(category=decomposed * 51)) == {"category"}


# Names that are not refused


@with_unseen
def test_no_name_is_made_of_what_nobody_can_see(unseen):
    assert cut_line(unseen, max_chars=100) is None
    assert clean_file_name(unseen) == ""


@pytest.mark.parametrize(
    ("written", "kept"),
    [("가" * 500, "가" * 10), ("a" * 9 + "👩‍💻", "a" * 9 + "👩"), ("a" * 9 + " b", "a" * 9), ("각" * 11, "각" * 10)],
    ids=["long", "within-a-sequence", "at-a-space", "decomposed"],
)
def test_a_name_is_cut_to_what_fits(written, kept):
    assert cut_line(unicodedata.normalize("NFD", written), max_chars=10) == kept


def test_one_module_alone_normalises():
    """Whatever else normalises a text has not checked its length first."""
    project = Path(__file__).parents[1]

    users = {path.name for path in (project / "post").rglob("*.py") if "normalize(" in path.read_text()}

    assert users == {"text.py"}
