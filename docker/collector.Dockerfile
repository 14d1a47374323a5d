# The collector. Built from the repository's root: docker build -f docker/collector.Dockerfile .
FROM python:3.13-slim-bookworm AS build
COPY . /src
RUN python -m venv /opt/tidegate && /opt/tidegate/bin/pip install --no-cache-dir "/src[collector,influx,postgres]"

FROM python:3.13-slim-bookworm
COPY --from=build /opt/tidegate /opt/tidegate
RUN useradd --system --uid 10001 --home-dir /var/lib/tidegate --create-home tidegate
USER 10001:10001
WORKDIR /var/lib/tidegate
VOLUME /var/lib/tidegate
EXPOSE 8080 8090
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/opt/tidegate/bin/tidegate", "collector", "status", "--url", "http://127.0.0.1:8080", "--json"]
ENTRYPOINT ["/opt/tidegate/bin/python", "-m", "collector"]
CMD ["--config", "/etc/tidegate/collector.yaml"]
