"""What lies below a directory is found once: links, special files and names that are not UTF-8 are said, nothing hangs."""

import os
import socket
from pathlib import Path

from bigdata_ml.storage import list_tree, locate, natural_order


def obstacles(root: Path) -> dict[str, str]:
    return {one.path: one.obstacle for one in list_tree(locate(root)).visible if one.obstacle}


def test_numbers_in_names_are_compared_as_numbers() -> None:
    wanted = ["a/part.2.x", "a/part.10.x", "a-1", "a1", "a2b10", "a10b1", "b"]
    assert natural_order(reversed(wanted)) == natural_order(wanted)
    assert natural_order(wanted) == ["a-1", "a/part.2.x", "a/part.10.x", "a1", "a2b10", "a10b1", "b"]
    # What Spark calls its files keeps its order: a UUID is no number.
    spark = [
        f"part-{part}-{uuid}-c000"
        for part in ("00000", "00001")
        for uuid in ("12a4567a-0000-4000-8000-000000000000", "3fa4567a-0000-4000-8000-000000000000")
    ]
    assert natural_order(spark[::-1]) == sorted(spark)
    assert natural_order(["part-00010", "part-00009", "part-9"]) == ["part-00009", "part-9", "part-00010"]


def test_linked_directories_are_followed_once_and_never_in_circles(tmp_path: Path) -> None:
    for path in ("d/v1/a", "d/v2/a", "elsewhere/b"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    for name, target in {"current": "v2", "loop": ".", "up": "..", "more": "../elsewhere", "v1/again": "../../elsewhere"}.items():
        os.symlink(target, tmp_path / "d" / name)
    tree = list_tree(locate(tmp_path / "d"))
    assert [one.path for one in tree.visible] == ["more/b", "v1/a", "v2/a"]
    assert dict(tree.linked_again) == {"current": "v2", "loop": ".", "up": "..", "v1/again": "more"}
    assert [one.path for one in list_tree(locate(tmp_path / "d"), follow=False).files] == ["v1/a", "v2/a"]


def test_a_file_of_two_names_is_one_file_and_the_name_that_is_no_link_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "z").write_text("1")
    os.link(tmp_path / "z", tmp_path / "y")
    os.symlink("z", tmp_path / "a")
    (tmp_path / ".kept").write_text("2")
    os.symlink(".kept", tmp_path / "visible")
    same = {one.path: one.same_as for one in list_tree(locate(tmp_path)).visible}
    assert same == {"a": "y", "visible": "", "y": "", "z": "y"}


def test_what_cannot_be_read_is_there_with_its_reason(tmp_path: Path) -> None:
    os.symlink("not-mounted/1.png", tmp_path / "gone")
    os.symlink("circle", tmp_path / "circle")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xe9.png")).write_text("x")
    found = obstacles(tmp_path)
    assert sorted(found) == ["circle", "fifo", "gone", "odd\\xe9.png", "socket"]
    assert "not-mounted/1.png" in found["gone"]
    assert "FIFO" in found["fifo"]
    assert "UTF-8" in found["odd\\xe9.png"]
