"""Text in other encodings: read as it is declared or marked, refused by file and byte otherwise, never replaced."""

import codecs
import gzip
from pathlib import Path

import pytest

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.format import TextFormat
from bigdata_ml.prepare.sources.text_files.stream import TextPart, texts_of


def read(path: Path, data: bytes, encoding: str = "") -> str:
    path.write_bytes(data)
    part = TextPart(url=str(path), size=len(data))
    found = ["".join(texts_of(part, TextFormat(encoding=encoding), piece_bytes=size)) for size in (1, 3, 1000)]
    assert len(set(found)) == 1
    return found[0]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [(b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, mark: bytes, encoding: str) -> None:
    text = "city\nKöln\n\ufffd\n"
    assert read(tmp_path / "t.csv", mark + text.encode(encoding)) == text


@pytest.mark.parametrize("encoding", ["iso-8859-1", "cp1252", "utf-16", "utf-16-le", "utf-8-sig", "shift_jis", "gb18030"])
def test_a_declared_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    text = "city\n表ソ\n" if encoding in ("shift_jis", "gb18030") else "city\nKöln\n"
    assert read(tmp_path / "t.csv", text.encode(encoding), encoding) == text


def test_other_bytes_are_refused_by_place_with_the_encodings_that_fit(tmp_path: Path) -> None:
    with pytest.raises(JobRefused, match=r"t\.csv: byte 6 \(0xf6.*cp1252, iso-8859-1.*--encoding") as caught:
        read(tmp_path / "t.csv", b"city\nK\xf6ln\n")
    assert "utf-16" not in str(caught.value)
    with pytest.raises(JobRefused, match=r"byte 1 \(0xc3.* utf-8, "):
        read(tmp_path / "t.csv", "Köln".encode(), "ascii")
    with pytest.raises(JobRefused, match=r"byte 1;.*utf-16-le"):
        read(tmp_path / "t.csv", "city".encode("utf-16-le"))


def test_packed_text_is_unpacked_and_a_torn_file_named(tmp_path: Path) -> None:
    packed = gzip.compress(b"a,b\n1,2\n")
    assert read(tmp_path / "t.csv.gz", packed) == "a,b\n1,2\n"
    for torn in (packed[:-9], b"no gzip"):
        with pytest.raises(JobRefused, match=r"t\.csv\.gz: .*gzip"):
            read(tmp_path / "t.csv.gz", torn)


def test_a_file_of_another_size_is_one_that_changes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a")
    with pytest.raises(JobRefused, match=r"t\.csv: .* 1 bytes, 5 "):
        list(texts_of(TextPart(url=f"{tmp_path}/t.csv", size=5), TextFormat()))
