# The demo in one container. Built from the repository's root: docker build -f docker/city/city.Dockerfile .
FROM python:3.13-slim-bookworm AS build
COPY . /src
RUN python -m venv /opt/tidegate && /opt/tidegate/bin/pip install --no-cache-dir "/src[all]"

FROM python:3.13-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends mosquitto && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/tidegate /opt/tidegate
RUN useradd --system --uid 10001 --home-dir /var/lib/tidegate --create-home tidegate
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
ENTRYPOINT ["/opt/tidegate/bin/tidegate", "demo", "--no-browser", "--listen", "::", "--port", "8080"]
CMD ["--for", "24h"]
