"""The promise: modules stay small and well named, and no test is left out."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "gateway_core",
    "device_profiles",
    "edge_agent",
    "collector",
    "simulators",
    "tidegate",
    "scripts",
)
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
TESTS = [*sorted((ROOT / "tests").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
LONGEST = 350
NOUNLESS = re.compile(r"^(utils?|manager|base|helpers?|common|misc)$|_part\d")
LEFT_OUT = re.compile(r"pytest\.(mark\.)?(skip|xfail|importorskip)|unittest\.mock|\bskipif\b")
UNDONE = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")


def _names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_no_module_is_longer_than_fits_a_head() -> None:
    long = [path for path in MODULES if len(path.read_text("utf-8").splitlines()) > LONGEST]
    assert _names(long) == []


def test_a_module_is_named_after_what_is_in_it() -> None:
    assert _names([path for path in MODULES if NOUNLESS.search(path.stem)]) == []


def test_no_test_is_left_out_and_nothing_is_mocked() -> None:
    others = [path for path in TESTS if path != Path(__file__)]
    assert _names([path for path in others if LEFT_OUT.search(path.read_text("utf-8"))]) == []


def test_nothing_is_left_undone_in_the_code() -> None:
    assert _names([path for path in MODULES if UNDONE.search(path.read_text("utf-8"))]) == []


def test_every_test_file_opens_with_its_promise() -> None:
    files = [path for path in TESTS if path.name.startswith("test_")]
    assert _names([path for path in files if not path.read_text("utf-8").startswith('"""')]) == []


def test_every_package_ships_all_of_its_files() -> None:
    # what git ignores, the wheel leaves out: a profile or a script of the console would be missing
    files = [
        str(path.relative_to(ROOT))
        for package in PACKAGES[:-1]
        for path in sorted((ROOT / package).rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    ]
    run = subprocess.run(
        ["git", "check-ignore", "--stdin"],
        cwd=ROOT,
        input="\n".join(files),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == ""


def test_every_package_is_in_the_wheel_and_typed() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    packages = build["targets"]["wheel"]["packages"]
    assert packages == list(PACKAGES[:-1])
    assert [name for name in packages if not (ROOT / name / "py.typed").exists()] == []
