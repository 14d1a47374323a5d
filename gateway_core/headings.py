"""The headings of tables of feeds, in Chinese and English: one workbook serves edge and centre."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from gateway_core.csv_table import Cell
from gateway_core.errors import ConfigError, Fault

FEED = {
    "edge": ("边缘节点", "边缘", "节点"),
    "id": ("编号", "设备编号"),
    "name": ("名称", "设备名称", "点位名称"),
    "owner": ("权属单位", "所属单位", "建设单位", "单位"),
    "host": ("ip", "ip地址", "设备ip", "主机", "设备地址"),
    "onvif_port": ("onvif端口",),
    "rtsp_url": ("rtsp", "rtsp地址", "取流地址", "视频流地址"),
    "username": ("用户名", "账号"),
    "password": ("密码", "口令"),
    "password_file": ("密码文件", "口令文件"),
    "password_sealed": ("密封密码",),
    "area": ("行政区划", "区划代码", "区域"),
    "lat": ("纬度",),
    "lon": ("经度",),
    "group": ("分组", "所属分组"),
    "gb_code": ("国标编码", "国标编号", "国标id"),
}
"""Every column that a table of feeds may have, and what else it is called."""
MARK = "error"
"""A column that a marked-up copy has; a mended copy can be taken in as it is."""
_COLUMN = {other: column for column, others in FEED.items() for other in (column, *others)}


def read_headings(
    path: Path,
    header: Sequence[Cell],
    known: Collection[str],
    *,
    required: Collection[str] = (),
    aside: Collection[str] = (),
    forbidden: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the column that each cell of a header names.

    Args:
        path: For messages.
        header: The first row.
        known: Columns of `FEED` that are read.
        required: Those that must be there.
        aside: Columns of `FEED` that are somebody else's.
        forbidden: Columns of `FEED` that must not be there, and why.

    Returns:
        A name for each cell: of ``known`` or ``aside``, `MARK`, or nothing for an empty cell.

    Raises:
        ConfigError: A column is unknown, forbidden, missing or there twice.
    """
    faults, columns = [], []
    for cell in header:
        said = cell.text.lower()
        column = _COLUMN.get(said, said)
        message = ""
        if column in (forbidden or {}):
            message = (forbidden or {})[column]
        elif column not in {*known, *aside, MARK, ""}:
            names = [name for name, meant in _COLUMN.items() if meant in known]
            near = difflib.get_close_matches(said, names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
            message = f"unknown column {cell.text[:80]!r}; {hint}"
        elif column in columns and column not in {MARK, ""}:
            message = f"column {column!r} is there twice"
        if message:
            faults.append(Fault(path, cell.line, cell.col, said[:80], message))
        columns.append(column)
    faults.extend(
        Fault(path, header[0].line, header[0].col, name, f"column {name!r} is missing")
        for name in required
        if name not in columns
    )
    if faults:
        raise ConfigError(*faults)
    return columns
