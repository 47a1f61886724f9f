# The bots, the shipper and the dashboard in one image: `tron run`, `tron ship --follow`, `tron dashboard`.
#
#   make image PYTHON_DIGEST=sha256:...     docs/deploy.md tells where the digest comes from
#
# The base has no default digest: an image is made from what somebody looked at, and the same commit gives the same image.
# A build without one ends with the words behind `:?`.

ARG PYTHON_DIGEST

FROM python:3.11-slim-bookworm@${PYTHON_DIGEST:?is-missing:make-image-PYTHON_DIGEST=sha256:...} AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

WORKDIR /src
COPY requirements-gcp.txt ./
RUN python -m venv --without-pip /app \
 && python -m pip --python /app/bin/python install --require-hashes --only-binary :all: --requirement requirements-gcp.txt

COPY LICENSE README.md pyproject.toml ./
COPY runner ./runner
RUN python -m pip --python /app/bin/python install --no-deps --no-build-isolation . \
 && python -m pip --python /app/bin/python uninstall --yes setuptools


FROM python:3.11-slim-bookworm@${PYTHON_DIGEST}

ARG PYTHON_DIGEST
ARG VERSION=unknown
ARG REVISION=unknown

LABEL org.opencontainers.image.title="tron" \
      org.opencontainers.image.description="Run trading bots and keep everything they do." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm" \
      org.opencontainers.image.base.digest="${PYTHON_DIGEST}"

# What installs and builds is not what runs: pip and setuptools go. The home belongs to the user who runs.
RUN python -m pip uninstall --yes --root-user-action=ignore pip setuptools wheel \
 && install --directory --owner=65532 --group=65532 --mode=0700 /var/lib/tron \
 && install --directory /etc/tron

COPY --from=build /app /app

# The root file system may be read-only: only the home is written. A tron.toml that is mounted into /etc/tron is read.
# A shipper in a container of its own stays as long as the container does, and the dashboard is asked from outside.
ENV PATH=/app/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TRON_HOME=/var/lib/tron \
    TRON_HOST=0.0.0.0 \
    TRON_LINGER=1000000000
WORKDIR /etc/tron
VOLUME /var/lib/tron
EXPOSE 8080
USER 65532:65532

# Probes are the platform's (docs/deploy.md): a bot is alive when its heartbeats arrive, which no command in here can see.
HEALTHCHECK NONE

# The exec form: tron is process 1, so SIGTERM reaches it, and it drains within 8 seconds.
ENTRYPOINT ["tron"]
CMD ["run"]
