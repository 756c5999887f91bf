"""The browser that the pages are tested in: Chromium without windows where it is, which takes half of the time."""

import shutil

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
NO_CHROMIUM = "no Chromium on this machine (Debian: apt install chromium-headless-shell)"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
