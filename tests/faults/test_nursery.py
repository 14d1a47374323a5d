"""The nursery gives everybody his own child, also where several ask at once."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.nursery import Nursery


def test_who_asks_beside_others_gets_a_process_of_his_own(tmp_path: Path) -> None:
    def start(number: int) -> tuple[int, str]:
        file = tmp_path / f"{number}.log"
        with file.open("ab") as log:
            child = nursery.launch(["python", "-m", "edge_agent", f"--no={number}"], log, {})
        child.wait(30)
        return child.pid, file.read_text()

    with contextlib.closing(Nursery()) as nursery, ThreadPoolExecutor(8) as threads:
        started = list(threads.map(start, range(200)))
    assert len({pid for pid, _ in started}) == 200
    assert os.getpid() not in {pid for pid, _ in started}
    assert all(said for _, said in started)
