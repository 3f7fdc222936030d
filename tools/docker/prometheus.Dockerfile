# Stands in for prom/prometheus: this machine's own, of Debian's package.
ARG BASE
FROM ${BASE}
COPY bin/prometheus /usr/bin/prometheus
USER nobody
EXPOSE 9090
ENTRYPOINT ["/usr/bin/prometheus"]
