# The edge agent. Built from the repository's root: docker build -f docker/edge.Dockerfile .
FROM python:3.13-slim-bookworm AS build
COPY . /src
RUN python -m venv /opt/tidegate && /opt/tidegate/bin/pip install --no-cache-dir "/src[archive,camera,js]"

FROM python:3.13-slim-bookworm
COPY --from=build /opt/tidegate /opt/tidegate
RUN useradd --system --uid 10001 --home-dir /var/lib/tidegate --create-home tidegate
USER 10001:10001
WORKDIR /var/lib/tidegate
VOLUME /var/lib/tidegate
EXPOSE 5683/udp
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/opt/tidegate/bin/tidegate", "edge", "status", "--url", "http://127.0.0.1:9180", "--json"]
ENTRYPOINT ["/opt/tidegate/bin/python", "-m", "edge_agent"]
CMD ["--config", "/etc/tidegate/edge.yaml"]
