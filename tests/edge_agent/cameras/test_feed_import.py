"""A table of feeds goes into the feeds file whole or not at all, and its passwords only sealed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import xlsxwriter

from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.inventory import Credential
from gateway_core.errors import ConfigError, GatewayError
from gateway_core.sheet import read_sheet
from tests.fakes.ports import free_port
from tidegate.feed_import import import_feeds, make_key, password

CHINESE = (
    "边缘节点,编号,名称,权属单位,IP地址,ONVIF端口,RTSP地址,用户名,密码,行政区划,纬度,经度,国标编码"
)
CODE = "37160200081320000017"
KEY = Path("secrets") / "cameras.key"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edge.yaml"
    path.write_text(
        "edge: {id: e1, data_dir: var}\ncameras: {file: feeds.csv}\n"
        f"admin: {{listen: '127.0.0.1:{free_port()}'}}\n"
    )
    return path


def table(config: Path, header: str, *rows: str, encoding: str = "utf-8") -> Path:
    path = config.with_name("table.csv")
    path.write_bytes("\n".join((header, *rows, "")).encode(encoding))
    return path


def line(feed: str, password: str = "", *, user: str = "viewer", name: str = "") -> str:
    return f"{feed},{name},10.0.0.7,rtsp://10.0.0.7/{feed},{user},{password}"


HEADER = "id,name,host,rtsp_url,username,password"


def loaded(config: Path) -> dict[str, Credential | None]:
    feeds = load_feeds(config.with_name("feeds.csv"), config.parent / KEY)
    assert [feed.login_trouble for feed in feeds.values() if feed.login_trouble] == []
    return {feed.id: feed.credential for feed in feeds.values()}


def told(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return captured.out + captured.err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_the_city_s_table_is_read_in_chinese_and_rows_of_other_edges_are_left(
    config: Path, encoding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table(
        config,
        CHINESE,
        f"e1,,南门,公安局,10.0.0.7,80,rtsp://10.0.0.7/s,viewer,#密@1,371602,35.2,115.4,{CODE}",
        "e2,c9,别处,公安局,10.0.0.9,80,rtsp://10.0.0.9/s,viewer,x,371602,35.2,115.4,",
        encoding=encoding,
    )
    assert import_feeds(path, apply=True, config=config) == 0
    out = told(capsys)
    assert "1 rows are other edges'" in out
    assert "new 1, changed 0, as before 0, gone 0" in out
    feed = load_feeds(config.with_name("feeds.csv"), config.parent / KEY)[CODE]
    assert (feed.name, feed.onvif_port, feed.lat) == ("南门", 80, 35.2)
    assert feed.credential == Credential("viewer", "#密@1")


def test_without_apply_nothing_is_written(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_feeds(table(config, HEADER, line("c1", "one")), config=config) == 0
    assert "nothing was changed; --apply does it" in told(capsys)
    assert sorted(each.name for each in config.parent.iterdir()) == ["edge.yaml", "table.csv"]


def test_the_next_table_takes_the_place_of_the_first(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = table(config, HEADER, line("c1", "one"), line("c2", "two"), line("c3", "three"))
    assert import_feeds(first, apply=True, config=config) == 0
    before = config.with_name("feeds.csv").read_bytes()
    again = table(config, HEADER, line("c1", "one"), line("c2", "2", name="门"), line("c4"))
    assert import_feeds(again, apply=True, config=config) == 0
    out = told(capsys)
    assert "new 1, changed 1, as before 1, gone 1" in out
    assert "changed: c2 (name, password)" in out
    assert "gone: c3" in out
    assert loaded(config) == {
        "c1": Credential("viewer", "one"),
        "c2": Credential("viewer", "2"),
        "c4": Credential("viewer", ""),
    }
    assert config.with_name("feeds.csv.before").read_bytes() == before


def test_a_feeds_file_imported_into_itself_changes_nothing(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_feeds(table(config, HEADER, line("c1", "one"), line("c2")), apply=True, config=config)
    copy = config.with_name("copy.csv")
    copy.write_bytes(config.with_name("feeds.csv").read_bytes())
    assert import_feeds(copy, config=config) == 0
    assert "new 0, changed 0, as before 2, gone 0" in told(capsys)


def test_a_row_without_a_password_keeps_it_and_a_column_left_out_stays(config: Path) -> None:
    import_feeds(table(config, HEADER, line("c1", "one", name="南门")), apply=True, config=config)
    part = table(config, "id,group", "c1,nvr-1")
    assert import_feeds(part, apply=True, keep=True, config=config) == 0
    feed = load_feeds(config.with_name("feeds.csv"), config.parent / KEY)["c1"]
    assert (feed.name, feed.group) == ("南门", "nvr-1")
    assert feed.credential == Credential("viewer", "one")


def test_keep_leaves_what_the_table_does_not_name(config: Path) -> None:
    import_feeds(table(config, HEADER, line("c1", "one")), apply=True, config=config)
    import_feeds(table(config, HEADER, line("c2", "two")), apply=True, keep=True, config=config)
    assert sorted(loaded(config)) == ["c1", "c2"]


def test_with_a_mistake_nothing_is_done_and_the_copy_has_no_password(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = config.with_name("table.xlsx")
    with xlsxwriter.Workbook(book) as made:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, HEADER.split(","))
        sheet.write_row(1, 0, line("c1", "hunter1").split(","))
        sheet.write_row(2, 0, line("c 2", "hunter2").split(","))
        sheet.write_row(3, 0, ["c3", "", "h", "rtsp://root:hunter3@h/s", "viewer", ""])
        sheet.write_row(4, 0, line("c4", "hunter4", user="").split(","))
        sheet.write_row(5, 0, ["c5", "", "10.0.0.7", "rtsp://10.0.0.7/5", "viewer", 10**17])
    assert import_feeds(book, apply=True, config=config) == 1
    out = told(capsys)
    assert f"{book}:3:1: id: 'c 2': expected 1 to 128 characters" in out
    assert f"{book}:5:6: password: there is no username for it" in out
    assert f"{book}:6:6: password: lost digits as a number; format the cell as text" in out
    assert "4 of 5 rows have mistakes" in out
    copy = list(read_sheet(config.with_name("table.marked.xlsx")))
    marks = {row[0].text: row[-1].text for row in copy}
    assert marks["c1"] == ""
    assert "without spaces" in marks["c 2"]
    assert "holds a user name or password" in marks["c3"]
    shown = out + "".join(cell.text for row in copy for cell in row)
    assert "hunter" not in shown
    assert not config.with_name("feeds.csv").exists()


def test_wrong_rows_left_out_make_nothing_count_as_gone(config: Path) -> None:
    import_feeds(table(config, HEADER, line("c1"), line("c2")), apply=True, config=config)
    bad = table(config, HEADER, line("c 1"), line("c3"))
    assert import_feeds(bad, apply=True, skip_bad=True, config=config) == 0
    assert sorted(loaded(config)) == ["c1", "c2", "c3"]


def test_another_user_needs_another_password(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_feeds(table(config, HEADER, line("c1", "one")), apply=True, config=config)
    assert import_feeds(table(config, HEADER, line("c1", user="root")), config=config) == 1
    assert "was 'viewer' before; give the password of this one, too" in told(capsys)
    import_feeds(table(config, HEADER, line("c1", user="")), apply=True, config=config)
    assert loaded(config) == {"c1": None}


def test_a_table_without_a_row_of_this_edge_empties_nothing(config: Path) -> None:
    with pytest.raises(ConfigError, match="has no row of this edge, 'e1'"):
        import_feeds(table(config, f"edge,{HEADER}", f"e2,{line('c1')}"), config=config)
    with pytest.raises(ConfigError, match="has no row of this edge"):
        import_feeds(table(config, HEADER), config=config)


def test_a_new_password_is_sealed_and_needs_the_key_of_the_others(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_feeds(table(config, HEADER, line("c1", "one"), line("c2")), apply=True, config=config)
    new = config.with_name("new")
    new.write_text("p#w\n")
    password("c2", password_file=new, username="root", config=config)
    assert loaded(config)["c2"] == Credential("root", "p#w")
    with pytest.raises(GatewayError, match="'c9' is not in"):
        password("c9", password_file=new, config=config)
    new.write_text("\n")
    with pytest.raises(GatewayError, match="expected one line of 1 to 256 characters"):
        password("c2", password_file=new, config=config)
    new.write_text("another\n")
    (config.parent / KEY).unlink()
    with pytest.raises(GatewayError, match="put back the key"):
        password("c2", password_file=new, config=config)
    make_key(config=config)
    password("c2", password_file=new, config=config)
    feeds = load_feeds(config.with_name("feeds.csv"), config.parent / KEY)
    assert feeds["c2"].credential == Credential("root", "another")
    assert "sealed with another key" in feeds["c1"].login_trouble
    assert "another" not in told(capsys).replace("another key", "")


def test_the_figures_come_as_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_feeds(table(config, HEADER, line("c1", "x")), json=True, config=config) == 0
    assert json.loads(capsys.readouterr().out) == {
        "rows": 1,
        "other_edges": 0,
        "new": 1,
        "changed": 0,
        "same": 0,
        "gone": 0,
        "faults": [],
        "marked": None,
        "applied": False,
        "agent": None,
    }


def test_an_edge_without_cameras_is_told_what_to_write(config: Path) -> None:
    config.write_text("edge: {id: e1, data_dir: var}\n")
    with pytest.raises(ConfigError, match="write `cameras: "):
        import_feeds(table(config, HEADER, line("c1")), config=config)
