"""The site's types of the API, which are made from the OpenAPI document."""

import json
import runpy

from tests.servers import PROJECT
from tests.site_packages import npm_packages

npm_packages(PROJECT / "site")
WRITER = runpy.run_path(str(PROJECT / "site" / "scripts" / "write_types.py"))


def test_they_are_what_make_site_types_writes():
    assert WRITER["SCHEMA"].read_text("utf-8") == WRITER["types"]()


def test_the_document_that_they_are_made_of_is_the_services(client):
    served = client.get("/api/openapi.json")

    assert json.loads(WRITER["openapi_document"]()) == served.json
