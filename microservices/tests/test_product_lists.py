"""Lists of products: newest first, each once, by an index; searches; answers that clients keep."""

import re
from urllib.parse import urlencode

import pytest

from products import services
from products.validators import read_listing

LINK = re.compile(r'<\?(.*)>; rel="next"')


@pytest.fixture
def fill(products, database):
    """Write many products at once; three have each time, so that ids decide among them."""

    def write(count, name="'Product ' || i"):
        with database.connect(database.name) as connection:
            connection.execute(
                "INSERT INTO products.products (name, price, stock, created_at)"
                f" SELECT {name}, 1, mod(i, 4), '2026-01-01Z'::timestamptz + i / 3 * interval '1 microsecond'"
                " FROM generate_series(1, %s) AS i",
                [count],
            )
            connection.execute("ANALYZE products.products")

    return write


def pages(products, query="", each=lambda: None):
    """Walk through a list by its Link headers."""
    while True:
        answer = products("GET", f"/products?{query}")
        assert answer.status == 200, answer.text
        yield answer.json
        if "link" not in answer.headers:
            assert "x-next-cursor" not in answer.headers
            return
        query = LINK.fullmatch(answer.headers["link"])[1]
        assert answer.headers["x-next-cursor"] in query
        each()


def test_pages_have_every_product_once_newest_first(products, fill):
    fill(205)

    found = [*pages(products)]

    assert [len(page) for page in found] == [50, 50, 50, 50, 5]
    assert [product["id"] for page in found for product in page] == list(range(206, 1, -1))


def test_a_product_that_comes_meanwhile_moves_no_page(products, fill, make_product):
    fill(20)

    found = [*pages(products, "limit=7", each=make_product)]

    assert [product["id"] for page in found for product in page] == list(range(21, 1, -1))


def test_the_last_page_that_is_full_names_no_next(products, fill):
    fill(4)

    assert [len(page) for page in pages(products, "limit=2")] == [2, 2]


@pytest.mark.parametrize("limit", ["1", "100"])
def test_a_page_has_as_many_as_asked_for(products, fill, limit):
    fill(120)

    assert len(products("GET", f"/products?limit={limit}").json) == int(limit)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=", "limit"), ("limit=-1", "limit"),
        ("q=", "q"), ("q=" + "x" * 101, "q"), ("q=%00", "q"), ("in_stock=1", "in_stock"), ("in_stock=", "in_stock"),
        ("cursor=", "cursor"), ("cursor=x", "cursor"), ("cursor=" + "x" * 2000, "cursor"),
        ("cursor=WyIyMDI2LTAxLTAxIl0", "cursor"), ("cursor=WyJ4IiwiMSJd", "cursor"),
        ("cursor=WyIyMDI2LTAxLTAxVDAwOjAwOjAwKzAwOjAwIiwieCJd", "cursor"),
        ("cursor=WyIyMDI2LTAxLTAxVDAwOjAwOjAwIiwiMSJd", "cursor"),
        ("cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzIzOjU5IiwiMSJd", "cursor"),
    ],
)  # fmt: skip
def test_a_parameter_that_is_wrong_is_named(products, query, field):
    answer = products("GET", f"/products?{query}")

    assert answer.error[:2] == (400, "validation_error")
    assert [detail["field"] for detail in answer.json["details"]] == [field]


@pytest.mark.parametrize("place", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00"])
def test_a_cursor_may_name_any_time(products, place):
    from shared.paging import next_page_headers

    cursor = next_page_headers({}, [place, "2147483647"])["X-Next-Cursor"]

    assert products("GET", f"/products?cursor={cursor}").status == 200


def test_in_stock_leaves_out_what_is_sold_out(products, fill):
    fill(40)

    ids = [product["id"] for page in pages(products, "in_stock=true&limit=7") for product in page]

    assert ids == [number for number in range(41, 1, -1) if (number - 1) % 4]
    assert len(products("GET", "/products?in_stock=false").json) == 40


def test_a_product_is_in_stock_as_soon_as_its_stock_is(products, make_product):
    target = f"/products/{make_product(stock=1)['id']}/stock"
    in_stock = lambda: len(products("GET", "/products?in_stock=true").json)  # noqa: E731

    seen = [in_stock()]
    for delta in (-1, 1):
        products("POST", target, {"delta": delta}, role="admin")
        seen.append(in_stock())

    assert seen == [1, 0, 1]


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("apple", ["Green APPLE", "Apple pie"]),
        ("APPLE", ["Green APPLE", "Apple pie"]),
        ("사과", ["청사과 주스"]),
        ("과", ["청사과 주스"]),
        ("과사", []),
        ("é", ["CAFÉ 100%"]),
        ("0%", ["CAFÉ 100%"]),
        ("%", ["CAFÉ 100%"]),
        ("_", ["a_b\\c"]),
        ("b\\", ["a_b\\c"]),
        ("'", ["it's"]),
        ("e p", ["Apple pie"]),
        ("ap le", []),
        ("x" * 100, []),
        ("leap", []),
    ],
)
def test_a_search_finds_names_that_contain_the_text(products, make_product, q, names):
    for name in ("it's", "a_b\\c", "CAFÉ 100%", "청사과 주스", "Apple pie", "Green APPLE"):
        make_product(name=name)

    answer = products("GET", f"/products?{urlencode({'q': q})}")

    assert [product["name"] for product in answer.json] == names


def test_pages_of_a_search_keep_it(products, fill):
    fill(60, name="CASE WHEN mod(i, 2) = 0 THEN 'Apple ' || i ELSE 'Pear ' || i END")

    found = [*pages(products, "q=apple&in_stock=true&limit=4")]

    assert [product["id"] for page in found for product in page] == [
        number for number in range(61, 1, -1) if (number - 1) % 4 == 2
    ]


# Plans


@pytest.fixture
def plan_of(products, database):
    """The plan of a list's statement, by the service's own text."""

    def explain(**query):
        listing = read_listing(query)
        statement, values = services.page_statement(listing)
        with database.connect(database.name) as connection:
            rows = connection.execute(f"EXPLAIN {statement.text}", statement.parameters(values)).fetchall()
        return "\n".join(row[0] for row in rows)

    return explain


def test_a_page_reads_an_index_in_its_order(products, fill, plan_of):
    fill(20_000)
    cursor = products("GET", "/products").headers["x-next-cursor"]

    for query in ({}, {"cursor": cursor}):
        assert "Index Scan using products_newest_first" in (plan := plan_of(**query))
        assert "Sort" not in plan
    for query in ({"in_stock": "true"}, {"in_stock": "true", "cursor": cursor}):
        assert "Index Scan using products_in_stock_newest_first" in (plan := plan_of(**query))
        assert "Sort" not in plan
    assert "Row Removed" not in plan_of(cursor=cursor)


def test_a_rare_text_is_found_by_its_letters_and_a_frequent_one_among_the_newest(fill, plan_of):
    fill(20_000, name="CASE i WHEN 7 THEN '청사과' ELSE 'Product ' || i END")

    assert "products_name_grams" in plan_of(q="사과")
    assert "products_name_grams" in plan_of(q="과")
    assert "products_newest_first" in plan_of(q="product")


# Answers that clients keep


@pytest.mark.parametrize("path", ["/products", "/products/2"])
def test_an_answer_is_asked_about_again_and_not_sent_twice(products, make_product, path):
    make_product()
    first = products("GET", path)
    tag = first.headers["etag"]

    same = products("GET", path, headers={"If-None-Match": f'"other", {tag}'})
    any_other = products("GET", path, headers={"If-None-Match": '"other"'})
    products("PATCH", "/products/2", {"price": 2}, role="admin")
    changed = products("GET", path, headers={"If-None-Match": tag})

    assert re.fullmatch(r'W/"[0-9a-f]+"', tag)
    assert first.headers["cache-control"] == "public, no-cache"
    assert (same.status, same.text, same.headers["etag"]) == (304, "", tag)
    assert same.headers["cache-control"] == "public, no-cache"
    assert "content-type" not in same.headers
    assert (any_other.status, any_other.text) == (200, first.text)
    assert changed.status == 200
    assert changed.headers["etag"] != tag


def test_a_page_that_gets_a_next_one_is_another_answer(products, fill, make_product):
    """Its body is the same, but its Link is not."""
    fill(2)
    tag = products("GET", "/products?limit=2").headers["etag"]
    fill(3)

    answer = products("GET", "/products?limit=2", headers={"If-None-Match": tag})

    assert answer.status == 200


def test_only_lists_and_products_may_be_kept(products, make_product):
    make_product()
    answers = [
        products("GET", "/products/99"),
        products("GET", "/products?limit=x"),
        products("PATCH", "/products/2", {"price": 2}, role="admin"),
        products("DELETE", "/products/2", role="admin"),
    ]

    assert [answer.status for answer in answers] == [404, 400, 200, 204]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
