"""The examples of the READMEs and of the API's page are run, and their answers compared."""

import re
import subprocess

import pytest

from tests.servers import HANG_SECONDS, PROJECT, running_service

# What differs from run to run: ids, times, request ids, the keys of images.
VARIES = [(r"\b[0-9a-f]{32}-[0-9a-f]{64}\b", "KEY"), (r"\b[0-9a-f]{32}\b", "ID"), (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME")]


def examples(page: str) -> list[tuple[str, str]]:
    """Return the commands of a page's console blocks, each with the answer it gives."""
    blocks = re.findall(r"```console\n(.*?)```", (PROJECT / page).read_text(), flags=re.DOTALL)
    pairs = []
    for line in "".join(blocks).splitlines():
        if line.startswith("$ "):
            pairs.append((line[2:], ""))
        else:
            command, answer = pairs[-1]
            pairs[-1] = (command, answer + line)
    return pairs


def same_each_time(text: str) -> str:
    for pattern, name in VARIES:
        text = re.sub(pattern, name, text)
    return text.strip()


@pytest.mark.parametrize(
    ("page", "least"), [("README.md", 3), ("README.ko.md", 3), ("docs/api.md", 20), ("docs/moderation.md", 10)]
)
def test_the_examples_give_the_answers_that_are_shown(page, least, tmp_path):
    pairs = examples(page)
    script = "\n".join(f"{command}\nprintf '\\036'" for command, _ in pairs)

    with running_service(tmp_path) as service:
        script = script.replace("localhost:8082", service.url.removeprefix("http://"))
        port = service.url.rpartition(":")[2]
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=HANG_SECONDS, check=True)

    assert len(pairs) >= least
    # Images have the service's own URL.
    answers = done.stdout.replace(f"http://localhost:{port}/", "http://localhost:8082/").split("\036")[:-1]
    assert [same_each_time(answer) for answer in answers] == [same_each_time(answer) for _, answer in pairs]
