FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY wal wal
COPY collector collector
RUN python -m venv /opt/tracklog \
 && PIP_CONSTRAINT=constraints.txt /opt/tracklog/bin/pip install --no-cache-dir '.[http,kafka,objects,parquet]'

FROM python:3.11-slim
COPY --from=build /opt/tracklog /opt/tracklog
COPY collector.toml /srv/collector.toml
# In a container the demo configuration listens on all addresses; mount your own over it.
RUN sed -i 's/^host = .*/host = "0.0.0.0"/' /srv/collector.toml \
 && useradd --system --uid 10001 tracklog \
 && mkdir /srv/data \
 && chown tracklog /srv/data
USER tracklog
VOLUME /srv/data
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/tracklog/bin/collector"]
CMD ["serve", "--config", "/srv/collector.toml"]
