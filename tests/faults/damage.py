"""Damages to a file, drawn from a seed: what bad disks, hands and programs leave of one."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE = 4096
WHOLE = ("garbage head", "empty", "folder", "garbage")
"""Done to the file as a whole; the rest is done to a place in it."""


def damage(path: Path, seed: int) -> str:
    """Damage a file; return what was done."""
    dice = random.Random(seed)
    image = bytearray(path.read_bytes())
    how = dice.choice(["flip"] * 16 + ["zero", "zero", "cut", "cut", *WHOLE])
    at = dice.randrange(len(image))
    match how:
        case "flip":
            image[at] ^= 1 << dice.randrange(8)
        case "zero":
            at -= at % PAGE
            image[at : at + PAGE] = bytes(len(image[at : at + PAGE]))
        case "cut":
            del image[at:]
        case "garbage head":
            image[:64] = dice.randbytes(min(64, len(image)))
        case "garbage":
            image[:] = dice.randbytes(len(image))
        case "empty":
            image.clear()
        case "folder":
            path.unlink()
            path.mkdir()
            return f"seed {seed}: {path.name} is a folder"
    path.write_bytes(bytes(image))
    return f"seed {seed}: {path.name} {how} at {at} of {len(image)}"


def fresh(folder: Path, files: Path) -> Path:
    """Return the folder, made anew with a copy of all that is in another."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(files, folder)
    return folder


@contextmanager
def locked_away(path: Path) -> Iterator[None]:
    """Nobody but its owner may touch a file and its folder, and we are not the owner."""
    root = os.geteuid() == 0
    path.chmod(0o400 if root else 0o000)
    path.parent.chmod(0o755 if root else 0o555)
    if root:
        os.seteuid(65534)  # nobody, as a service that runs without rights
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        path.parent.chmod(0o755)
        path.chmod(0o644)
