"""Write src/api/schema.d.ts, the API's types for the site, from the service's OpenAPI document: ``make site-types``."""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

SITE = Path(__file__).resolve().parents[1]
SCHEMA = SITE / "src" / "api" / "schema.d.ts"
GENERATOR = SITE / "node_modules" / ".bin" / "openapi-typescript"


def openapi_document() -> str:
    """Return the document; no database is needed, and no setting of this machine counts."""
    sys.path.insert(0, str(SITE.parent))
    from app import create_app  # noqa: PLC0415 - this folder is no package of the project
    from config import load_config  # noqa: PLC0415 - as above

    with TemporaryDirectory() as folder:
        return json.dumps(create_app(load_config({"INSTANCE_PATH": folder}), for_command=True).api_doc)


def types() -> str:
    """Return the file's text."""
    with TemporaryDirectory() as folder:
        document, written = Path(folder, "openapi.json"), Path(folder, "schema.d.ts")
        document.write_text(openapi_document(), "utf-8")
        command = [str(GENERATOR), str(document), "--output", str(written)]
        subprocess.run(command, cwd=SITE, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - nothing of it is input
        return written.read_text("utf-8")


if __name__ == "__main__":
    SCHEMA.write_text(types(), "utf-8")
