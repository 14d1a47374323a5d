"""The files that a configuration names: where it names them, and whether they can be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel

from gateway_core.errors import ConfigError, Fault
from gateway_core.yaml_document import Step, read_yaml

Place = tuple[Step, ...]


def named_files(value: object, at: Place = ()) -> Iterator[tuple[Place, Path]]:
    """Yield each path in a configuration with the key that holds it."""
    if isinstance(value, Path):
        yield at, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from named_files(getattr(value, name), (*at, name))
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from named_files(each, (*at, index))


def unreadable(config: BaseModel) -> Iterator[tuple[Place, str]]:
    """Yield each key ``…_file`` whose file cannot be read, and why."""
    for place, file in named_files(config):
        if str(place[-1]).endswith("_file"):
            try:
                with file.open("rb") as opened:
                    opened.read(1)
            except OSError as exc:
                yield place, f"{file}: cannot be read: {exc.strerror}"


def at_its_key(config: BaseModel, path: Path, faults: Iterable[Fault]) -> list[Fault]:
    """Tell of a file that is wrong as a whole at the key that names it.

    ``feeds.csv: cannot be read`` says neither who wants it nor where to write another name.

    Args:
        config: What was read from ``path``.
        path: Of the configuration.
        faults: Those of a place in a file, and those of files that it does not name, stay as they
            are.
    """
    places = {file: place for place, file in named_files(config)}
    try:
        document = read_yaml(path)
    except ConfigError:  # was there a moment ago
        return list(faults)
    told = []
    for fault in faults:
        place = places.get(Path(fault.file))
        if place is None or fault.line or fault.path:
            told.append(fault)
        else:
            told.append(document.fault(place, f"{fault.file}: {fault.message}"))
    return told
