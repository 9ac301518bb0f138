# ui2i in a container, for the processor or for NVIDIA GPUs:
#
#   docker build --tag ui2i .
#   docker build --tag ui2i:cuda --build-arg TORCH=cu130 .
#
# TORCH is a torch backend of uv. PyTorch brings CUDA itself, so both start from the same image.
# docs/installation.md has the commands that run it.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS base
ARG TORCH=cpu
# Git gives projects a history. Triton compiles its launchers with a C compiler, which only GPUs need.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
        $(if [ "$TORCH" != cpu ]; then echo gcc libc6-dev; fi) \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir --disable-pip-version-check uv \
    && useradd --create-home --uid 1000 ui2i
ENV PYTHONUNBUFFERED=1 DO_NOT_TRACK=1

# What the devcontainer uses: the tools of CONTRIBUTING.md. The clone is mounted, and `make` fills its environment.
FROM base AS develop
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bsdextrautils make openssh-client tmux \
    && rm -rf /var/lib/apt/lists/*
USER ui2i

FROM base AS build
RUN apt-get update && apt-get install --yes --no-install-recommends make
COPY . /source
WORKDIR /source
RUN make --silent constraints TORCH=${TORCH} > /constraints.txt && uv build --wheel --out-dir /dist

FROM base
RUN --mount=type=bind,from=build,source=/dist,target=/dist \
    --mount=type=bind,from=build,source=/constraints.txt,target=/constraints.txt \
    uv pip install --system --no-cache --compile-bytecode --torch-backend ${TORCH} \
        --constraint /constraints.txt /dist/*.whl \
    && install --directory --owner ui2i /project
USER ui2i
# Caches of libraries go to the home, which any user can write: `docker run --user` may name one without an entry here.
ENV HOME=/tmp
WORKDIR /project
ENTRYPOINT ["ui2i"]
CMD ["--help"]
