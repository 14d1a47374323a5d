"""The pictures of `growth.json`, and the page that shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

KEPT = Path(__file__).with_name("growth.json")
DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "reference" / "growth.md"

Line = dict[str, float]


class Axis(NamedTuple):
    """One quantity of a picture.

    Attributes:
        name: In `growth.json`.
        chinese: For people.
        english: For people, and on the picture.
        form: How a figure is written.
    """

    name: str
    chinese: str
    english: str
    form: str = ",.0f"


class Picture(NamedTuple):
    """One kind of growth.

    Attributes:
        along: What grows.
        shown: What it costs.
        chinese: What is seen, for people.
        english: The same.
    """

    along: Axis
    shown: tuple[Axis, ...]
    chinese: str
    english: str


PICTURES = (
    Picture(
        Axis("devices", "设备数", "devices"),
        (
            Axis("committed_per_s", "每秒消息数", "messages/s"),
            Axis("cpu_us", "每条消息 CPU(微秒)", "CPU us/message", ".1f"),
            Axis("peak_mb", "内存峰值(MB)", "most memory, MB"),
        ),
        "边缘代理:设备越来越多,每台都要记住;消息总数不变。",
        "The edge agent with more devices, which it remembers; as many messages every time.",
    ),
    Picture(
        Axis("points", "数据点数", "points"),
        (
            Axis("one_device_ms", "一台设备一天(毫秒)", "one device's day, ms", ".1f"),
            Axis("hourly_means_ms", "5,000 台设备每小时均值(毫秒)", "5,000 hourly means, ms"),
            Axis("bytes_a_point", "每点磁盘字节", "bytes/point on disk", ".1f"),
        ),
        "内嵌时序库:查询最后一天,之前的天数越来越多。",
        "The embedded store, asked about its last day, with ever more days before it.",
    ),
    Picture(
        Axis("backlog", "积压记录数", "backlog"),
        (
            Axis("opened_s", "打开(秒)", "to open, s", ".3f"),
            Axis("first_batch_s", "到第一批(秒)", "to the first batch, s", ".3f"),
            Axis("memory_mb", "内存(MB)", "memory, MB", ".1f"),
            Axis("bytes_a_record", "每条磁盘字节", "bytes/record on disk", ".1f"),
        ),
        "缓冲文件:带着中心断开期间积压的记录重新打开。",
        "The spool, opened anew with what piled up while the centre was away.",
    ),
)


def write(found: dict[str, Any]) -> None:
    """Draw every picture and write the page."""
    for picture in PICTURES:
        _draw(picture, found[picture.along.name])
    PAGE.write_text(page(found))


def image(picture: Picture) -> Path:
    """Return where a picture is kept."""
    return DOCS / "img" / f"growth-{picture.along.name}.png"


def _draw(picture: Picture, lines: list[Line]) -> None:
    import matplotlib as mpl  # of a group that only pictures need

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    count = len(picture.shown)
    figure, axes = plt.subplots(1, count, figsize=(4 * count, 3))
    along = picture.along
    for axis, shown in zip(axes, picture.shown, strict=True):
        axis.plot([line[along.name] for line in lines], [line[shown.name] for line in lines], "o-")
        axis.set_xlabel(along.english)
        axis.set_title(shown.english)
        axis.set_xlim(left=0)
        axis.set_ylim(0, 1.1 * max(line[shown.name] for line in lines))
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(image(picture), dpi=90, metadata={"Software": None})
    plt.close(figure)


def page(found: dict[str, Any]) -> str:
    """Return the page of a kept run."""
    head = (
        "# 成本怎样随规模增长 · How cost grows\n\n"
        "由 `python benchmarks/growth.py --keep` 测得(每个规模一次),由 `--plot` 绘制。\n"
        "Measured by `python benchmarks/growth.py --keep`, each size once, and drawn by `--plot`.\n"
        "The figures are kept in `benchmarks/growth.json`; how each is measured stands at the top\n"
        "of `benchmarks/growth.py`.\n\n"
        f"{found['date']}; {found['machine']}; {found['messages']:,} messages for each number of"
        f" devices; load {found['load_before']:.1f} before and {found['load_after']:.1f} after;"
        f" {found['seconds']} s.\n"
    )
    return head + "".join(_section(each, found[each.along.name]) for each in PICTURES)


def _section(picture: Picture, lines: list[Line]) -> str:
    axes = (picture.along, *picture.shown)
    rows = "".join(
        f"| {' | '.join(format(line[each.name], each.form) for each in axes)} |\n" for line in lines
    )
    return (
        f"\n## {picture.along.chinese} · {picture.along.english}\n\n"
        f"![{picture.along.english}](../img/{image(picture).name})\n\n"
        f"{picture.chinese}\n{picture.english}\n\n"
        f"| {' | '.join(f'{each.chinese}<br>{each.english}' for each in axes)} |\n"
        f"|{'---:|' * len(axes)}\n{rows}"
    )
