"""The promise: the units are as closed as they claim, and systemd/install puts each thing in its place."""

from __future__ import annotations

import configparser
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate import cli

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
MOST_EXPOSED = "15"  # tenths: 1.5 of 10

VENV = """#!/bin/sh
# stands for python3: makes a venv whose python writes down what it is asked
mkdir -p "$3/bin"
printf '#!/bin/sh\\necho "$@" >>"%s/asked"\\n' "$3" >"$3/bin/python"
chmod +x "$3/bin/python"
"""


def _run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_is_exposed_by_no_more_than_1_5(unit: Path) -> None:
    run = _run("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)
    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_systemd_understands_a_unit(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text()
    for program in ("tidegate", "python"):
        text = text.replace(f"/opt/tidegate/bin/{program}", "/bin/true")
    copy = tmp_path / unit.name
    copy.write_text(text)
    run = _run("systemd-analyze", "verify", "--man=no", copy)
    assert (run.returncode, run.stdout) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_commands_that_exist(unit: Path) -> None:
    parsed = configparser.RawConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(unit.read_text())
    service = parsed["Service"]
    program = {"tidegate-edge": "edge_agent", "tidegate-collector": "collector"}[unit.stem]
    assert service["ExecStart"].split()[1:3] == ["-m", program]
    check = service["ExecStartPre"].split()[1:]
    cli.app.parse_args(check, exit_on_error=False, print_error=False)
    assert service["Type"] == "notify"
    assert service["WatchdogSec"] == "30"


@pytest.fixture
def installed(tmp_path: Path) -> tuple[Path, Path, subprocess.CompletedProcess[str]]:
    """Return prefix, root and outcome of an installation of the edge from a wheelhouse."""
    python = tmp_path / "python3"
    python.write_text(VENV)
    python.chmod(0o755)
    prefix, root = tmp_path / "opt", tmp_path / "root"
    run = _run(
        SYSTEMD / "install",
        "edge",
        PREFIX=str(prefix),
        ROOT=str(root),
        PYTHON=str(python),
        WHEELHOUSE="/media/usb",
    )
    return prefix, root, run


def test_the_installer_fills_a_venv_without_a_network(
    installed: tuple[Path, Path, subprocess.CompletedProcess[str]],
) -> None:
    prefix, _, run = installed
    assert run.returncode == 0, run.stdout
    asked = (prefix / "asked").read_text()
    assert "-m pip install" in asked
    assert "--no-index --find-links /media/usb" in asked
    assert f"{ROOT}[archive,camera,js]" in asked


def test_the_installer_writes_the_unit_for_its_prefix(
    installed: tuple[Path, Path, subprocess.CompletedProcess[str]],
) -> None:
    prefix, root, _ = installed
    unit = (root / "etc/systemd/system/tidegate-edge.service").read_text()
    assert f"ExecStart={prefix}/bin/python -m edge_agent" in unit
    assert "ExecStart=/opt/tidegate" not in unit
    assert stat.S_IMODE((root / "usr/lib/sysusers.d/tidegate.conf").stat().st_mode) == 0o644
    assert (root / "etc/tidegate/profiles").is_dir()
    page = re.search(r"^Documentation=file://(.*)$", unit, re.MULTILINE)
    assert page is not None
    assert Path(page[1]).is_file()


def test_systemd_makes_the_user_that_the_units_name(
    installed: tuple[Path, Path, subprocess.CompletedProcess[str]],
) -> None:
    _, root, _ = installed
    run = _run("systemd-sysusers", f"--root={root}", "tidegate.conf")
    assert run.returncode == 0, run.stdout
    assert "tidegate:" in (root / "etc/passwd").read_text()
    for unit in UNITS:
        assert "\nUser=tidegate\n" in unit.read_text()


def test_the_installer_says_how_it_is_called() -> None:
    run = _run(SYSTEMD / "install")
    assert run.returncode == 2
    assert "systemd/install edge|collector" in run.stdout


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/test", "scripts/setup.sh", ".ci/run"])
def test_a_script_is_a_script(script: str) -> None:
    assert _run("bash", "-n", ROOT / script).stdout == ""
    if not script.endswith(".sh"):
        assert (ROOT / script).stat().st_mode & stat.S_IXUSR


def test_both_programs_say_how_they_are_called() -> None:
    for program in ("edge_agent", "collector"):
        run = _run(sys.executable, "-m", program, "--help", PYTHONPATH=str(ROOT))
        assert run.returncode == 0, run.stdout
        assert "--config" in run.stdout


def test_the_console_command_is_installed() -> None:
    command = shutil.which("tidegate", path=str(Path(sys.executable).parent))
    assert command is not None
    assert _run(command, "--version").returncode == 0
