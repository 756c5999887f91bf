"""Folding of titles, and the numbers of their pairs of characters."""

import importlib.util
import sys
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from post.database.schema import MIGRATIONS_DIR
from post.services.search_index import CHARACTER_BITS, grams_from, grams_of, pairs_of, search_key

# Letters whose case changes their number, or that have several small ones; and what lies next to other blocks' ends.
RARE = "İıIiſsKkßẞΣσςǅéÉÅåΩωﬁŉΐᾈᾀꭰᎠ𐐀𐐨가힣ㅋᄀ%_/\\ 😀\U0010ffff\U0010fffe\ud7ff\ue000"
ASCII = st.text(st.characters(max_codepoint=127), min_size=1)
TEXTS = st.one_of(st.text(st.sampled_from(RARE), min_size=1), st.text(min_size=1), ASCII)
CHARACTERS = st.one_of(st.sampled_from(RARE), st.characters(min_codepoint=1))
EVERY_CHARACTER = [char for char in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(char)[0] != "C"]
same_every_time = settings(deadline=None, derandomize=True, max_examples=200)


@pytest.fixture(scope="module")
def migration():
    """The migration that fills the tables of a database that has posts already."""
    path = MIGRATIONS_DIR / "versions" / "20261123_title_search.py"
    spec = importlib.util.spec_from_file_location("title_search", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def begins(gram: int) -> str:
    return chr(gram >> CHARACTER_BITS)


# Folding


def test_every_character_is_folded_to_one_and_that_to_itself():
    folded = {char: search_key(char) for char in EVERY_CHARACTER}

    assert {char for char, key in folded.items() if len(key) != 1} == set()
    assert {char for char, key in folded.items() if key != char and search_key(key) != key} == set()


@same_every_time
@given(TEXTS)
def test_a_text_is_folded_character_by_character(text):
    assert search_key(text) == "".join(map(search_key, text))
    assert len(search_key(text)) == len(text)


@same_every_time
@given(TEXTS, st.data())
def test_the_key_of_a_part_is_the_part_of_the_key(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))

    assert search_key(text[start:end]) == search_key(text)[start:end]


@same_every_time
@given(ASCII)
def test_of_ascii_letter_case_alone_is_folded(text):
    assert search_key(text) == search_key(text.upper()) == text.lower()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("É", "é", id="accent"),
        pytest.param("ẞ", "ß", id="sharp-s"),
        pytest.param("Σ", "σ", id="sigma"),
        pytest.param("ς", "σ", id="final-sigma"),
        pytest.param("Ａ", "ａ", id="full-width"),
        pytest.param("\u212a", "k", id="kelvin"),
        pytest.param("ſ", "S", id="long-s"),
        pytest.param("ǅ", "ǆ", id="title-case"),
        pytest.param("ᾈ", "ᾀ", id="iota-below"),
        pytest.param("\u13a0", "\uab70", id="cherokee"),
        pytest.param("\U00010400", "\U00010428", id="deseret"),
    ],
)
def test_letters_that_differ_in_case_are_one(one, other):
    assert search_key(one) == search_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("é", "e", id="accent"),
        pytest.param("ß", "ss", id="sharp-s"),
        pytest.param("İ", "i", id="dotted-i"),
        pytest.param("ı", "i", id="dotless-i"),
        pytest.param("Ａ", "a", id="full-width"),
        pytest.param("ﬁ", "fi", id="ligature"),
        pytest.param("가", "나", id="korean"),
        pytest.param("ㄱ", "ᄀ", id="jamo"),
        pytest.param("か", "カ", id="kana"),
    ],
)
def test_what_is_more_than_letter_case_is_kept_apart(one, other):
    assert search_key(one) != search_key(other)


# Grams


@same_every_time
@given(TEXTS)
def test_a_title_has_each_character_with_the_next_once_and_the_last_with_none(text):
    grams = grams_of(text)

    assert {(begins(gram), gram % (1 << CHARACTER_BITS)) for gram in grams} == {
        (char, ord(behind) if behind else 0) for char, behind in zip(text, [*text[1:], ""], strict=True)
    }
    assert len(set(grams)) == len(grams)


@same_every_time
@given(TEXTS)
def test_a_title_s_pairs_are_its_grams_but_for_the_last_character_s(text):
    assert pairs_of(text) == list(dict.fromkeys(grams_of(one + other)[0] for one, other in pairwise(text)))
    assert set(grams_of(text)) == {*pairs_of(text), *grams_of(text[-1:])}


@same_every_time
@given(TEXTS, st.data())
def test_every_pair_of_a_part_is_a_gram_of_the_whole(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))

    assert set(pairs_of(search_key(text[start:end]))) <= set(grams_of(search_key(text)))


@same_every_time
@given(CHARACTERS, CHARACTERS, TEXTS)
def test_a_pair_is_a_gram_of_the_titles_alone_that_have_it(one, other, text):
    (pair,) = pairs_of(one + other)

    assert (pair in grams_of(text)) == (one + other in text)


@same_every_time
@given(CHARACTERS, TEXTS)
def test_a_title_has_a_gram_that_begins_with_a_character_where_it_has_the_character(char, text):
    first, end = grams_from(char)

    assert any(first <= gram < end for gram in grams_of(text)) == (char in text)


@same_every_time
@given(CHARACTERS, TEXTS)
def test_the_grams_of_a_character_are_those_that_begin_with_it(char, text):
    first, end = grams_from(char)

    assert [first <= gram < end for gram in grams_of(text)] == [begins(gram) == char for gram in grams_of(text)]


@pytest.mark.parametrize("behind", ["", "\x01", "a", "힣", "😀", "\U0010ffff"], ids=ascii)
@pytest.mark.parametrize("char", ["\x01", "a", "힣", "😀", "\U0010ffff"], ids=ascii)
def test_a_range_of_grams_reaches_from_the_character_alone_to_the_last_pair(char, behind):
    first, end = grams_from(char)

    assert first <= grams_of(char + behind)[0] < end
    assert first == grams_of(char)[0]
    assert end == ord(char) + 1 << CHARACTER_BITS


@same_every_time
@given(st.integers(1, sys.maxunicode - 1))
def test_neighbouring_ranges_touch_and_do_not_overlap(code):
    assert grams_from(chr(code))[1] == grams_from(chr(code + 1))[0]


def test_the_largest_gram_fits_into_a_bigint():
    assert grams_of("\U0010ffff" * 2)[0] < 2**63


@pytest.mark.parametrize(("text", "grams", "pairs"), [("a", 1, 0), ("aa", 2, 1), ("abab", 3, 2)])
def test_repeated_pairs_are_one(text, grams, pairs):
    assert (len(grams_of(text)), len(pairs_of(text))) == (grams, pairs)


def test_a_title_without_characters_has_no_grams():
    """No request makes one; a row that another program has written may have it."""
    assert grams_of("") == []


# The migration, which has a copy of its own


def test_the_migration_folds_every_character_alike(migration):
    assert [char for char in EVERY_CHARACTER if migration._fold(char) != search_key(char)] == []


@same_every_time
@given(text=TEXTS)
def test_the_migration_makes_the_same_grams(migration, text):
    assert list(dict.fromkeys(migration._grams(text))) == grams_of(text)


def test_the_migration_takes_in_a_title_without_characters(migration):
    """What another program has written to the client's table must not keep the service from starting."""
    assert list(migration._grams("")) == []
