"""A plan that people wrote is read whole or refused with every mistake named; nothing is guessed."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest
import xlsxwriter

from collector.plan_file import read_plan
from collector.registry.plan import PlannedFeed
from gateway_core.errors import ConfigError
from gateway_core.marked_sheet import write_marked
from gateway_core.sheet import read_sheet

CODE, OTHER = "37160200081320000017", "37160200081320000018"
GOOD = PlannedFeed("bz-1", "cam-1", "南门", "公安局", "371602", "nvr-1", CODE)
CHINESE = f"边缘节点,编号,名称,权属单位,行政区划,分组,国标编码\nbz-1,cam-1,南门,公安局,371602,nvr-1,{CODE}\n"


def workbook(path: Path, *rows: tuple[object, ...]) -> Path:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for place, row in enumerate(rows):
            for col, value in enumerate(row):
                if isinstance(value, str) and value.startswith("="):
                    sheet.write_formula(place, col, value, value=7)
                else:
                    sheet.write(place, col, value)
    return path


def table(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_csv_in_the_encodings_of_spreadsheets(tmp_path: Path, encoding: str) -> None:
    found = read_plan(table(tmp_path / "p.csv", CHINESE, encoding))
    assert (found.feeds, found.faults) == ([GOOD], [])


def test_a_workbook_with_numbers_where_numbers_look_like_codes(tmp_path: Path) -> None:
    header = ("edge", "id", "name", "owner", "area", "group", "gb_code")
    row = ("bz-1", "cam-1", "南门", "公安局", 371602, "nvr-1", CODE)
    found = read_plan(workbook(tmp_path / "p.xlsx", header, row))
    assert (found.feeds, found.faults) == ([GOOD], [])


def test_a_code_that_became_a_number_is_refused_not_rounded(tmp_path: Path) -> None:
    path = workbook(tmp_path / "p.xlsx", ("edge", "id", "gb_code"), ("bz-1", "a", float(CODE)))
    found = read_plan(path)
    assert found.feeds == []
    (fault,) = found.faults
    assert str(fault).startswith(f"{path}:2:3: gb_code: ")
    assert "format the column as text" in fault.message


def test_the_code_is_the_id_where_no_id_is_given(tmp_path: Path) -> None:
    found = read_plan(table(tmp_path / "p.csv", f"gb_code\n{CODE}\n"), edge="bz-1")
    assert found.feeds == [PlannedFeed("bz-1", CODE, gb_code=CODE)]


def test_every_wrong_row_is_named_and_the_right_ones_are_kept(tmp_path: Path) -> None:
    text = (
        "edge,id,area,gb_code\n"
        f"bz-1,a,371602,{CODE}\n"
        "Bz 1,b,,\n"
        "bz-1,a,,\n"
        ",c,,\n"
        "bz-1,,,\n"
        f"bz-1,d,,{CODE}\n"
        "bz-1,e,37 1602,12\n"
        "bz-1,f,,,stray\n"
        f"bz-1,g,,{OTHER}\n"
    )
    found = read_plan(table(tmp_path / "p.csv", text))
    assert [feed.id for feed in found.feeds] == ["a", "g"]
    assert [(fault.line, fault.path) for fault in found.faults] == [
        (3, "edge"), (4, "id"), (5, "edge"), (6, "id"), (7, "gb_code"), (8, "area"),
        (8, "gb_code"), (9, ""),
    ]  # fmt: skip
    assert "row 2 already" in found.faults[1].message


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_a_marked_copy_can_be_mended_and_imported(tmp_path: Path, ending: str) -> None:
    path = table(tmp_path / "p.csv", f"edge,id,name\nbz-1,ok,a\nbz-1,bad id,=1+1\n,{CODE},\n")
    found = read_plan(path)
    copy = tmp_path / f"marked.{ending}"
    write_marked(copy, found.rows, found.faults)
    header, *rows = ([cell.text for cell in row] for row in read_sheet(copy))
    assert header == ["edge", "id", "name", "error"]
    assert rows[0][:3] == ["bz-1", "ok", "a"]
    assert rows[1][:3] == ["bz-1", "bad id", "=1+1"]
    assert "without spaces" in rows[1][3]
    assert "name the edge agent" in rows[2][3]
    again = read_plan(copy, edge="bz-1")
    assert [feed.id for feed in again.feeds] == ["ok", CODE]


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("edge,id,password", "passwords have no place at the centre"),
        ("edge,id,密码", "passwords have no place at the centre"),
        ("edge,id,nmae", "did you mean 'name'"),
        ("edge,id,编号", "column 'id' is there twice"),
        ("id,name", "edge: the column is missing"),
        ("edge,name", "id: the column is missing"),
    ],
)
def test_a_header_that_is_no_plan_is_refused(tmp_path: Path, header: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        read_plan(table(tmp_path / "p.csv", f"{header}\nbz-1,a,b\n"))


def test_formulas_count_as_what_they_last_showed(tmp_path: Path) -> None:
    path = workbook(tmp_path / "p.xlsx", ("edge", "id"), ("bz-1", "=3+4"))
    assert read_plan(path).feeds == [PlannedFeed("bz-1", "7")]


def test_a_row_of_a_thousand_cells_is_read_and_one_more_is_refused(tmp_path: Path) -> None:
    rows = read_sheet(table(tmp_path / "p.csv", "a" + "," * 999 + "\n" + "," * 1000))
    assert len(next(rows)) == 1000
    with pytest.raises(ConfigError, match=r"p\.csv:2:1001: more than 1000 cells in one row"):
        next(rows)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = workbook(tmp_path / "p.xlsx", ("edge", "id"), ("bz-1", "a"))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet2.xml", bytes(600 << 20))
    with pytest.raises(ConfigError, match="512 unpacked"):
        read_plan(path)


def test_a_bomb_whose_directory_lies_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", bytes(1 << 20))
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 1 << 20), struct.pack("<I", 16)))
    with pytest.raises(ConfigError, match=r"is damaged|is no \.xlsx"):
        read_plan(path)


@pytest.mark.parametrize(
    ("row", "column", "place"),
    [(99_999, 16_383, "row 100000, column 16384"), (1_048_575, 16, "17")],
)
def test_one_cell_that_strayed_far_off_is_refused_before_room_is_made_for_all_before_it(
    tmp_path: Path, row: int, column: int, place: str
) -> None:
    path = tmp_path / "p.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ("edge", "id"))
        sheet.write(row, column, "stray")
    with pytest.raises(ConfigError, match=f"{place}; delete the rows and columns beyond"):
        read_plan(path)


def test_cells_that_do_not_say_where_they_stand_count_as_far_as_they_may_reach(
    tmp_path: Path,
) -> None:
    path = workbook(tmp_path / "p.xlsx", ("edge", "id"), ("bz-1", "a"))
    far = b"<x:row r='1048576'>" + b"<x:c/>" * 15 + b"<x:c t='s'><x:v>0</x:v></x:c></x:row>"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/worksheets/sheet2.xml", b"<x:worksheet>" + far + b"</x:worksheet>")
    with pytest.raises(ConfigError, match="as far off as row 1048592, column 16"):
        read_plan(path)


def test_a_damaged_workbook_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "p.xlsx", ("edge", "id"), *[("bz-1", f"f{n}") for n in range(999)])
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(ConfigError):
        read_plan(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nonsense", b"\xff\xff\xff"])
@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"p.{ending}"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        read_plan(path)


def test_columns_that_only_an_edge_needs_are_left_aside(tmp_path: Path) -> None:
    text = "边缘节点,编号,IP地址,rtsp_url,用户名\nbz-1,c1,10.0.0.7,not even a url,viewer\n"
    found = read_plan(table(tmp_path / "p.csv", text))
    assert (found.feeds, found.faults) == ([PlannedFeed("bz-1", "c1")], [])
