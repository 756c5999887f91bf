# The service as it runs in production:
#   docker build -t post-service . && docker run -p 8082:8082 --env-file .env post-service
# For a registry nearer than Docker Hub: --build-arg PYTHON_IMAGE=public.ecr.aws/docker/library/python:3.13-slim
ARG PYTHON_IMAGE=python:3.13-slim

# checkov:skip=CKV_DOCKER_7: It does not read the argument, whose default names a version.
FROM ${PYTHON_IMAGE} AS builder

WORKDIR /build
COPY requirements.txt ./
# Of wheels alone: nothing is compiled, and nothing of a package runs, before it is installed.
RUN pip wheel --no-cache-dir --only-binary=:all: --wheel-dir=wheels --requirement=requirements.txt \
    && python -m venv --without-pip /opt/venv \
    && pip --python=/opt/venv/bin/python install --no-cache-dir --no-index --find-links=wheels --requirement=requirements.txt

WORKDIR /app
COPY app.py config.py gunicorn.conf.py ./
COPY migrations migrations
COPY post post
# The user of the image cannot write here, so each start would compile everything anew.
RUN python -m compileall -q --invalidation-mode=unchecked-hash .


FROM ${PYTHON_IMAGE}

# The number is what Kubernetes checks (runAsNonRoot); above 10,000 it is none of the host's users either.
RUN groupadd --gid=10001 post \
    && useradd --uid=10001 --gid=10001 --no-create-home --home-dir=/nonexistent --shell=/usr/sbin/nologin post \
    && install --directory --owner=post --group=post /var/lib/post-service

COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
WORKDIR /app

# HOST and INSTANCE_PATH are for a .env of development: it shall be reached through the published port, and keep its
# database and images where it may write. In production nothing is written but to /tmp and /dev/shm.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FLASK_ENV=production \
    HOST=0.0.0.0 \
    INSTANCE_PATH=/var/lib/post-service

USER 10001:10001
EXPOSE 8082
HEALTHCHECK --interval=10s --timeout=3s --start-period=300s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\") or 8082}/health', timeout=2)"]
# As process 1, without a shell between: gunicorn's master gets SIGTERM itself, and waits for orphans as an init does.
CMD ["gunicorn", "--config=gunicorn.conf.py", "app:app"]

# Last, so that a commit that changes nothing above finds it all in the cache.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="post-service" \
    org.opencontainers.image.description="The board of a community site: posts, categories, likes and images" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
