# The image of Tracklog.
#
#   docker build -t tracklog .                                 # EXTRAS=kafka,objects chooses the libraries of the sinks
#   docker run -p 8080:8080 -v tracklog:/var/lib/tracklog tracklog
#   docker run … -v ./collector.toml:/etc/tracklog/collector.toml:ro --read-only --tmpfs /tmp --stop-timeout 30 tracklog
#
# Settings are in /etc/tracklog/collector.toml, which is the current folder too, so that `docker exec NAME collector sink ls`
# finds them. All folders in the settings must be below /var/lib/tracklog. A folder of the host that is mounted there must
# belong to the user 10001.
ARG PYTHON=3.11.14-slim-bookworm

FROM python:${PYTHON} AS build
ARG EXTRAS=http,kafka,objects,parquet
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY wal wal
COPY collector collector
# The constraints pin every version. The folder has no pip, since nobody should install anything there later.
# hadolint ignore=DL3013
RUN python -m venv --without-pip /opt/tracklog \
 && PIP_CONSTRAINT=constraints.txt pip --python /opt/tracklog/bin/python install --no-cache-dir ".${EXTRAS:+[$EXTRAS]}"

FROM python:${PYTHON}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Tracklog" \
      org.opencontainers.image.description="An event collector whose 200 means that the event is fsynced, and is delivered once" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 tracklog \
 && useradd --no-log-init --no-create-home --uid 10001 --gid tracklog --home-dir /var/lib/tracklog \
    --shell /usr/sbin/nologin tracklog \
 && install --directory --owner=tracklog --group=tracklog --mode=0750 /var/lib/tracklog
COPY --from=build /opt/tracklog /opt/tracklog
COPY deploy/collector.toml /etc/tracklog/collector.toml
ENV PATH="/opt/tracklog/bin:${PATH}"
WORKDIR /etc/tracklog
# By number, so that Kubernetes knows that it is not root.
USER 10001:10001
VOLUME /var/lib/tracklog
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["collector", "health"]
ENTRYPOINT ["collector"]
CMD ["serve"]
