#!/usr/bin/env bash
# package_release.sh FOLDER: the zips of a commit, as its functions and the site's bucket get them. It installs what
# packages them into the Python that runs it, so that one is a container's.
set -euo pipefail
folder=$(realpath "$1")
cd "$(dirname "$0")/../.."

pip install --quiet --disable-pip-version-check --require-hashes --requirement microservices/deploy/requirements.txt
python -m microservices.deploy.package_lambda --output "$folder"
python -m zipfile --create "$folder/site.zip" microservices/site/*
