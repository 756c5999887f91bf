# The image of the service, for production:
#   docker build -t post-service . && docker run -p 8082:8082 --env-file .env post-service
# The pipeline gives PYTHON_IMAGE by its digest, and labels the image with it (org.opencontainers.image.base.name).
# From another registry than Docker Hub: --build-arg PYTHON_IMAGE=public.ecr.aws/docker/library/python:3.13-slim
ARG PYTHON_IMAGE=python:3.13-slim

# checkov:skip=CKV_DOCKER_7: Checkov does not read the argument, whose default names a version.
FROM ${PYTHON_IMAGE} AS builder

WORKDIR /build
COPY requirements.txt ./
# Wheels only: the build compiles nothing and runs no code of a package.
RUN pip wheel --no-cache-dir --only-binary=:all: --require-hashes --wheel-dir=wheels --requirement=requirements.txt \
    && python -m venv --without-pip /opt/venv \
    && pip --python=/opt/venv/bin/python install --no-cache-dir --no-index --require-hashes --find-links=wheels --requirement=requirements.txt

WORKDIR /app
COPY app.py config.py gunicorn.conf.py ./
COPY migrations migrations
COPY post post
# Bytecode is compiled now, since the image's user cannot write here and each start would compile again.
RUN python -m compileall -q --invalidation-mode=unchecked-hash .


FROM ${PYTHON_IMAGE} AS site

WORKDIR /site
# Node.js comes as a wheel: so all stages have one base, whose digest is all that the image depends on.
COPY requirements-site.txt ./
RUN pip install --no-cache-dir --only-binary=:all: --require-hashes --requirement=requirements-site.txt
# As pip does, npm believes the system's authorities too, such as a company's own.
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
COPY site/package.json site/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY site ./
RUN npm run build


FROM ${PYTHON_IMAGE}

# Kubernetes checks the number (runAsNonRoot). A number above 10,000 is no user of the host.
RUN groupadd --gid=10001 post \
    && useradd --uid=10001 --gid=10001 --no-create-home --home-dir=/nonexistent --shell=/usr/sbin/nologin post \
    && install --directory --owner=post --group=post /var/lib/post-service

COPY --from=builder /opt/venv /opt/venv
COPY --from=builder /app /app
COPY --from=site /site/dist /app/site/dist
WORKDIR /app

# HOST and INSTANCE_PATH are for a .env of development: the published port must reach the service, and its database and
# images need a writable folder. In production only /tmp and /dev/shm are written to.
# glibc's two settings (mallopt(3)) let it give back the memory of large answers, which each thread would keep.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FLASK_ENV=production \
    HOST=0.0.0.0 \
    INSTANCE_PATH=/var/lib/post-service \
    MALLOC_ARENA_MAX=2 \
    MALLOC_MMAP_THRESHOLD_=131072

# Settings that are empty take these values again: an --env-file may have a line FLASK_ENV= and nothing behind it.
RUN mkdir /etc/post-service \
    && printf 'FLASK_ENV=%s\nHOST=%s\nINSTANCE_PATH=%s\n' "$FLASK_ENV" "$HOST" "$INSTANCE_PATH" > /etc/post-service/image.env

USER 10001:10001
EXPOSE 8082
HEALTHCHECK --interval=10s --timeout=3s --start-period=300s \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\") or 8082}/health', timeout=2)"]
# Process 1 without a shell: gunicorn's master gets SIGTERM itself, and reaps orphans as an init does.
CMD ["gunicorn", "--config=gunicorn.conf.py", "app:app"]

# Last, so that another version or revision leaves the layers above in the cache.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="post-service" \
    org.opencontainers.image.description="The board of a community site: posts, categories, likes and images" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
