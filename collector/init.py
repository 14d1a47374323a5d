"""A new centre's configuration file, with every key explained."""

from __future__ import annotations

from pathlib import Path

from collector.config import load_collector_config
from gateway_core.errors import ConfigError, Fault

SAMPLE = """\
# {file}: one collector. Check it: tidegate collector check --config {file}
# Relative paths are relative to this file. Every key can come from the environment as
# TIDEGATE_<SECTION>__<KEY>. Secrets are paths to files, never values.

collector:
  data_dir: {data_dir}

intake:
  listen: "[::]:8090"           # edges: POST /v1/batches
  # cert_file: secrets/intake.pem
  # key_file: secrets/intake.key
  # client_ca_file: secrets/edges-ca.pem      # edges must show a certificate with their id
  # tokens_file: secrets/edges.yaml           # or a token: edge id to token
  # edges: [bz-edge-01, bz-edge-02]           # left out: any that may connect

# enrol:                          # tidegate collector edges invite EDGE, tidegate edge enrol
#   listen: "[::]:8091"
#   url: https://centre.example:8091          # how edges reach it
#   uplink_url: https://centre.example:8090   # how they reach the intake
#   ca_cert_file: secrets/edges-ca.pem        # issues certificates to edges
#   ca_key_file: secrets/edges-ca.key

api:
  listen: "[::]:8080"           # people: the console, /api/v1, /docs, /metrics, /healthz

timeseries:
  kind: embedded                # embedded | influxdb1 | influxdb2 | influxdb3
  # url: http://127.0.0.1:8086
  # database: tidegate          # influxdb1, influxdb3
  # org: city                   # influxdb2
  # bucket: tidegate            # influxdb2
  # token_file: secrets/influx.token
  # trail: 15s                  # VictoriaMetrics says yes before it has written; left out: 0s

# registry:
#   url: postgresql+psycopg://tidegate@db/tidegate    # left out: SQLite in data_dir

spool:
  max_bytes: 20GiB              # at the limit edges are told to keep their data
"""


def write_centre(folder: Path, data_dir: str = "./var/centre") -> Path:
    """Write collector.yaml into ``folder`` and check what was written.

    Raises:
        ConfigError: The file is there already, cannot be written, or is not acceptable.
    """
    path = folder / "collector.yaml"
    if path.exists():
        message = "is there already; move it away or choose another folder"
        raise ConfigError(Fault(path, 0, 0, "", message))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(SAMPLE.format(file=path.name, data_dir=data_dir), encoding="utf-8")
    except OSError as exc:
        raise ConfigError(Fault(path, 0, 0, "", f"cannot be written: {exc.strerror}")) from exc
    load_collector_config(path)
    return path
