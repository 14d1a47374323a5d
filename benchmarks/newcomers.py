"""Need: 5,000 devices never seen before announce themselves at once: known and stored in 2 s.

They speak to a real mosquitto; the clock runs from the first PUBLISH until the agent's books and
its registry have all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.e2e.blast import Blaster, encoded, fleet
from tests.e2e.city import City, wait_for


def measure(devices: int) -> dict[str, float]:
    """Let them speak; return how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        city = City(Path(folder))
        try:
            city.broker().start()
            city.edge().start()
            city.wait_connected()
            packets = encoded(fleet(devices, devices, start_s=int(time.time())))
            began = time.monotonic()
            with Blaster(city.host, city.mqtt_port) as blaster:
                blaster.send(packets)
            wait_for("the books", lambda: _known(city) >= devices)
            return {"devices": devices, "known_and_stored_s": time.monotonic() - began}
        finally:
            city.close()


def _known(city: City) -> int:
    """Devices that are in the registry and whose first message is committed."""
    status = city.edge_status()
    return min(status["devices"]["known"], sum(status["accepted"].values()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=5_000)
    print(json.dumps(measure(parser.parse_args().devices), indent=1))
