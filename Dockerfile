# zeroshelf in a container: docs/tasks/immich.md says how it is started.
#
#   docker build -t zeroshelf .
#   docker run --rm -v ~/Pictures:/pictures:ro -v zeroshelf:/data zeroshelf plan /pictures -l cat --to /data/sorted
FROM python:3.13-slim AS build
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md CHANGELOG.md LICENSE NOTICE ./
COPY LICENSES LICENSES
COPY src src
RUN python -m venv /opt/zeroshelf && /opt/zeroshelf/bin/pip install --no-cache-dir ".[watch]"

FROM python:3.13-slim
RUN useradd --uid 1000 --create-home zeroshelf \
    && mkdir /data /pictures \
    && chown zeroshelf:zeroshelf /data
COPY --from=build /opt/zeroshelf /opt/zeroshelf
# The records of runs are what an undo needs: /data must be a volume that stays.
ENV PATH=/opt/zeroshelf/bin:$PATH \
    ZEROSHELF_RUNS=/data/runs \
    ZEROSHELF_CACHE=/data/cache \
    ZEROSHELF_MODELS=/data/models \
    PYTHONDONTWRITEBYTECODE=1
# By its number, so that what starts it can tell that it is not root.
USER 1000
VOLUME /data
ENTRYPOINT ["zeroshelf"]
CMD ["--help"]
