"""Fuzz one target under atheris: ``python -m tests.fuzz.run TARGET SECONDS [FOLDER]``.

New inputs that reach new code are kept in FOLDER; an input that raises is written to it as well,
and the exit status is not 0.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["device_profiles", "edge_agent", "gateway_core"]):
    from tests.fuzz.targets import TARGETS, seeds

_SLOWEST_S = 5
_MOST_MB = 2048
_LONGEST = 4096


def main(target: str, seconds: int, folder: Path) -> None:
    """Run until the time is over or something raises."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as given:
        for number, seed in enumerate(seeds(target)):
            Path(given, str(number)).write_bytes(seed)
        options = [
            f"-max_total_time={seconds}",
            f"-timeout={_SLOWEST_S}",
            f"-rss_limit_mb={_MOST_MB}",
            f"-max_len={_LONGEST}",
            f"-artifact_prefix={folder}/finding-",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], str(folder), given, *options], TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    where = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(".fuzz") / sys.argv[1]
    main(sys.argv[1], int(sys.argv[2]), where)
