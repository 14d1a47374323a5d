"""``tidegate edge users``: who may connect to a listener of the agent's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from edge_agent.sources.listen.users import check_name, hash_key, hash_password, new_key, read_users
from gateway_core.errors import GatewayError
from tidegate.output import print_json
from tidegate.usage import WrongUsage

app = App(name="users", help="Devices that may log in to the agent's own MQTT listener.")

File = Annotated[Path, Parameter(help="The users file, as users_file names it.")]


@app.command
def add(name: str, *, file: File, password_file: Path | None = None, json: bool = False) -> None:
    """Add a user and print its key, which is kept nowhere; `tidegate edge reload` lets it in.

        tidegate edge users add room-1 --file /etc/tidegate/users

    Args:
        name: The device's id; or @group for a key that devices share, whose id is then their
            client id.
        password_file: Its first line is the password, instead of a random key.
        json: Print JSON.
    """
    if wrong := check_name(name):
        raise WrongUsage(f"{name!r}: {wrong}")
    lines = _lines(file)
    if any(line.startswith(f"{name}:") for line in lines):
        raise GatewayError(f"{name} is in {file} already; remove it first")
    if password_file is not None:
        lines.append(f"{name}:{hash_password(_password(password_file))}")
        key = ""
    else:
        key = new_key()
        lines.append(f"{name}:{hash_key(key)}")
    _write(file, lines)
    if json:
        print_json({"name": name, "key": key or None})
    else:
        print(f"added {name}" + (f"; its key: {key}" if key else ""))


@app.command
def remove(name: str, *, file: File) -> None:
    """Remove a user; `tidegate edge reload` ends the connections that it has.

    tidegate edge users remove room-1 --file /etc/tidegate/users
    """
    lines = _lines(file)
    kept = [line for line in lines if not line.startswith(f"{name}:")]
    if len(kept) == len(lines):
        raise GatewayError(f"{name} is not in {file}")
    _write(file, kept)
    print(f"removed {name}")


@app.command(name="list")
def list_(*, file: File, json: bool = False) -> None:
    """List the users; passwords and keys cannot be shown, they are not there.

        tidegate edge users list --file /etc/tidegate/users

    Args:
        json: Print JSON.
    """
    names = sorted(line.partition(":")[0] for line in _lines(file) if line and line[0] != "#")
    if json:
        print_json(names)
    else:
        print("\n".join(names))


def _lines(file: Path) -> list[str]:
    if not file.exists():
        return []
    read_users(file)  # says what is wrong with it, if anything is
    return file.read_text(encoding="utf-8").splitlines()


def _password(file: Path) -> str:
    try:
        found = file.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as exc:
        raise GatewayError(f"{file} cannot be read: {exc}") from exc
    if not found:
        raise GatewayError(f"{file}: the first line is empty; it is the password")
    return found


def _write(file: Path, lines: list[str]) -> None:
    """Replace the file in one step, readable by its owner alone."""
    new = file.with_name(f".{file.name}.new")
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
            opened.write("".join(f"{line}\n" for line in lines))
        new.replace(file)
    except OSError as exc:
        raise GatewayError(f"{file} cannot be written: {exc.strerror}") from exc
