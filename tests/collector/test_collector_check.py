"""`check` of a collector looks at every file that the configuration names and needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.check import check
from gateway_core.errors import ConfigError

CONFIG = """\
collector: {data_dir: var}
intake: {listen: "[::1]:0", cert_file: a.pem, key_file: a.key, tokens_file: tokens.yaml}
timeseries: {kind: %s, token_file: influx.token}
"""
MISSING = "cannot be read: No such file or directory"


def told(folder: Path, kind: str) -> list[str]:
    path = folder / "collector.yaml"
    path.write_text(CONFIG % kind)
    with pytest.raises(ConfigError) as caught:
        check(path)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_each_file_that_is_not_there_is_told_at_its_key(tmp_path: Path) -> None:
    (tmp_path / "a.key").touch()

    assert told(tmp_path, "influxdb2") == [
        f"collector.yaml:2:29: intake.cert_file: a.pem: {MISSING}",
        f"collector.yaml:2:64: intake.tokens_file: tokens.yaml: {MISSING}",
        f"collector.yaml:3:31: timeseries.token_file: influx.token: {MISSING}",
    ]


def test_a_store_that_wants_no_token_may_name_one(tmp_path: Path) -> None:
    assert "influx.token" not in " ".join(told(tmp_path, "embedded"))
