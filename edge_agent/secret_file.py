"""Files that only the agent may read, also where root writes them for it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_secret(file: Path, data: bytes, *, replace: bool = True) -> None:
    """Write a file whole or not at all, readable by its owner alone (0600).

    Where root writes it into a folder that it shares with a group, the group may read it: that is
    the agent's.

    Args:
        file: Its folder is made if need be.
        data: What is in it.
        replace: False: it must not be there yet.

    Raises:
        FileExistsError: It is there, and was not to be replaced.
        OSError: As the system says.
    """
    file.parent.mkdir(0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    new = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        same_owner(new, file.parent)
        owner = new.stat()
        if owner.st_uid == 0 and owner.st_gid != 0:
            new.chmod(0o640)
        if replace:
            new.replace(file)
        else:
            os.link(new, file)
    finally:
        new.unlink(missing_ok=True)


def same_owner(file: Path, like: Path) -> None:
    """Give a file that root wrote to the owner of another one: the agent has to read it.

    Raises:
        OSError: As the system says.
    """
    if os.geteuid() == 0:
        owner = like.stat()
        os.chown(file, owner.st_uid, owner.st_gid)
