"""Telegraf between a mosquitto and an InfluxDB 1, as safe as it can be set, for `peers.py`.

QoS 1 in a persistent session: a message is acknowledged once the output wrote it, whether the
buffer is on disk or in memory. A batch is a quarter of what may wait unacknowledged, so that
batches fill before the interval ends. A point that comes twice is one in InfluxDB.
"""

from __future__ import annotations

import urllib.parse
from collections import Counter
from pathlib import Path

import psutil

from tests.e2e.city import City, Program, http

_CONFIG = """
[agent]
  interval = "1s"
  flush_interval = "1s"
  metric_batch_size = 1000
  metric_buffer_limit = 1000000
  buffer_strategy = "{strategy}"
  buffer_directory = "{folder}/buffer"
  skip_processors_after_aggregators = true
  omit_hostname = true
[[inputs.mqtt_consumer]]
  servers = ["tcp://{broker}"]
  topics = ["tg/+/up"]
  qos = 1
  persistent_session = true
  client_id = "telegraf"
  max_undelivered_messages = 4000
  name_override = "env"
  data_format = "json"
  json_time_key = "ts"
  json_time_format = "unix"
[[outputs.influxdb]]
  urls = ["http://{store}"]
  database = "td"
"""


class Telegraf:
    """Telegraf, its broker and its store.

    Args:
        folder: For their files.
        binary: Of Telegraf.
        strategy: Where what waits for the output is kept: ``disk`` or ``memory``.
    """

    def __init__(self, folder: Path, binary: str, strategy: str) -> None:
        self.city = City(folder)
        self.city.broker().start()
        influx, port = self.city.influxd()
        influx.start()
        self._store = self.city.at(port)
        config = folder / "telegraf.conf"
        broker = self.city.at(self.city.mqtt_port)
        config.write_text(
            _CONFIG.format(folder=folder, strategy=strategy, broker=broker, store=self._store)
        )
        command = [binary, "--config", str(config)]
        self.program = Program("telegraf", command, folder / "telegraf.log", self._connected)
        self.city.programs.append(self.program)
        self.program.start()

    def _connected(self) -> bool:
        assert self.program.process is not None
        peers = psutil.Process(self.program.process.pid).net_connections()
        return any(each.raddr and each.raddr.port == self.city.mqtt_port for each in peers)

    def arrived(self) -> Counter[int]:
        """Ask the store."""
        asked = urllib.parse.urlencode({"db": "td", "q": "SELECT seq FROM env", "epoch": "s"})
        (answer,) = http("GET", f"http://{self._store}/query?{asked}")["results"]
        return Counter(int(seq) for each in answer.get("series", ()) for _, seq in each["values"])
