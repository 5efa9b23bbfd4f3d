"""Read CSV rows by RFC 4180, with line breaks and quotes inside quotes, and the line number of every row.

Quotes inside quotes are doubled; if a row is malformed that way, backslashes are tried as escapes. Quotes inside unquoted text
are ordinary characters. Empty lines are skipped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.text_files.csv_scan import MalformedRow, RowScanner
from bigdata_ml.prepare.sources.text_files.format import TextFormat

__all__ = ["CsvReader", "RowBatch", "Torn"]

# Longest row; an unclosed quote would otherwise take the rest of the file.
_MOST_TEXT = 64 << 20
_SHOWN = 2000


@dataclass(frozen=True, slots=True)
class Torn:
    """A malformed row: its line number, the reason, the detail, and its text."""

    line: int
    reason: str
    detail: str
    text: str


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows: a text column for each name of the header, their line numbers, and the malformed rows."""

    columns: tuple[pa.Array, ...]
    lines: np.ndarray
    torn: tuple[Torn, ...] = ()


@dataclass(slots=True)
class CsvReader:
    """Reads rows from the text of a file, or of a stretch of it that begins with a row.

    Attributes:
        url: of the file, for errors.
        form: format of the file.
        separator: between values.
        width: number of values in a row; 0 before the header is read.
        line: number of the next line.
        is_open: whether the text ended inside a quote.
    """

    url: str
    form: TextFormat
    separator: str
    width: int = 0
    line: int = 1
    is_open: bool = False
    _scanner: RowScanner = field(init=False)

    def __post_init__(self) -> None:
        self._scanner = RowScanner(self.form, self.separator)

    def header(self, texts: Iterator[str]) -> list[str]:
        """Return the column names in the first row, or an empty list if there is no row.

        Raises:
            JobRefused: the header has an unclosed quote.
        """
        text = ""
        for piece in texts:
            text += piece
            if (names := self._first(text, final=False)) is not None:
                return names
            if len(text) > _MOST_TEXT:
                raise self._never_closed(self.line)
        return self._first(text + "\n", final=True) or []

    def _first(self, text: str, *, final: bool) -> list[str] | None:
        position = 0
        while position < len(text):
            try:
                row = self._scanner.scan(
                    text, position, len(text) - (not final and text.endswith("\r")), final=final, way="doubled"
                )
            except MalformedRow as error:
                raise JobRefused(f"{self.url}, line {self._after(text[:position])}: in the header {error.detail}") from error
            if row is None and final:
                raise self._never_closed(self._after(text[:position]))
            if row is None:
                return None
            values, end = row
            if any(values) or len(values) > 1:
                return [value or "" for value in values]
            position = end
        return None

    def rows(self, texts: Iterator[str], *, skip_header: bool, at_end: bool = True) -> Iterator[RowBatch]:
        """Yield the rows.

        Args:
            texts: of the file, or of a stretch of it.
            skip_header: whether the first row is the header.
            at_end: whether the file ends with the text; otherwise an open quote sets `is_open`.

        Raises:
            JobRefused: a quote is never closed, or a row has more than 64 MiB.
        """
        text, final, header = "", False, skip_header
        while not final:
            # Grow by half, so that a long row is not rescanned too often.
            pieces = [text]
            wanted = len(text) // 2 + 1
            while wanted > 0 and not final:
                piece = next(texts, None)
                final = piece is None
                pieces.append(piece or "")
                wanted -= len(piece or "")
            text = "".join(pieces)
            if final and text and text[-1] not in "\r\n":
                text += "\n"
            end = len(text) - (not final and text.endswith("\r"))
            position = 0
            if header:
                position = self._past_header(text, end, final=final)
                header = position == 0 and not final
            if not header:
                batch, position = self._batch(text, position, end, final=final, at_end=at_end)
                if len(batch.lines) or batch.torn:
                    yield batch
            text = text[position:]
            if len(text) > _MOST_TEXT:
                raise self._never_closed(self.line)

    def _past_header(self, text: str, end: int, *, final: bool) -> int:
        position = 0
        while position < end:
            try:
                row = self._scanner.scan(text, position, end, final=final, way="doubled")
            except MalformedRow as error:
                raise JobRefused(f"{self.url}, line {self.line}: in the header {error.detail}") from error
            if row is None:
                return 0
            values, position = row
            if any(values) or len(values) > 1:
                self.line = self._after(text[:position])
                return position
        return 0

    def _batch(self, text: str, position: int, end: int, *, final: bool, at_end: bool) -> tuple[RowBatch, int]:
        if self.form.quote and text.find(self.form.quote, position, end) >= 0:
            return self._quoted(text, position, end, final=final, at_end=at_end)
        cut = max(text.rfind("\n", position, end), text.rfind("\r", position, end)) + 1
        piece = text[position:cut]
        if "\r" in piece:
            piece = piece.replace("\r\n", "\n").replace("\r", "\n")
        return self._unquoted(piece), max(cut, position)

    def _unquoted(self, piece: str) -> RowBatch:
        """Return the rows of complete lines without quotes."""
        first, self.line = self.line, self.line + piece.count("\n")
        columns = self._by_arrow(piece)
        if columns is not None:
            return RowBatch(columns, np.arange(first, self.line))
        rows, lines, torn = [], [], []
        for number, line in enumerate(piece.split("\n")[:-1], first):
            if not line:
                continue
            values = line.split(self.separator)
            if len(values) == self.width:
                rows.append([None if value in ("", self.form.null_value) else value for value in values])
                lines.append(number)
            else:
                torn.append(self._ragged(number, len(values), line))
        return self._made(rows, lines, torn)

    def _by_arrow(self, piece: str) -> tuple[pa.Array, ...] | None:
        """Return the columns of text without quotes and empty lines, with rows of one width; otherwise None."""
        if not piece or piece[0] in "\n\ufeff" or "\n\n" in piece or not self.separator.isascii():
            return None
        data = piece.encode()
        names = [str(number) for number in range(self.width)]
        ragged: list[int] = []

        def note(row: pacsv.InvalidRow) -> str:
            ragged.append(row.actual_columns)
            return "skip"

        table = pacsv.read_csv(
            pa.BufferReader(data),
            pacsv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            pacsv.ParseOptions(delimiter=self.separator, quote_char=False, invalid_row_handler=note),
            pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=["", self.form.null_value]
            ),
        )
        if ragged or table.num_rows != piece.count("\n"):
            return None
        return tuple(column.combine_chunks() for column in table.columns)

    def _quoted(self, text: str, position: int, end: int, *, final: bool, at_end: bool) -> tuple[RowBatch, int]:
        rows: list[Sequence[str | None]] = []
        lines: list[int] = []
        torn: list[Torn] = []
        patterns, quote = self._scanner.patterns, self.form.quote
        match, split = patterns["row"].match, patterns["value"].findall
        doubled, nulls, width = quote * 2, ("", self.form.null_value), self.width
        while position < end:
            matched = match(text, position, end)
            raw = split(matched.group()) if matched else []
            if matched and len(raw) == width and not (width == 1 and not raw[0]):
                rows.append(
                    [
                        (None if value in nulls else value) if value[:1] != quote else value[1:-1].replace(doubled, quote)
                        for value in raw
                    ]
                )  # fmt: skip
                lines.append(self.line)
                following = matched.end()
            else:
                try:
                    row = self._scanner.row(text, position, end, width=width, final=final)
                except MalformedRow as error:
                    torn.append(Torn(self.line, "torn_row", error.detail, text[position : error.end].rstrip("\r\n")[:_SHOWN]))
                    following = error.end
                else:
                    if row is None:
                        break
                    values, following = row
                    if len(values) == width and values != [None]:
                        rows.append(values)
                        lines.append(self.line)
                    elif values != [None]:
                        torn.append(self._ragged(self.line, len(values), text[position:following]))
            self.line = self._after(text[position:following])
            position = following
        if final and position < end:
            self.is_open = True
            if at_end:
                raise self._never_closed(self.line)
        return self._made(rows, lines, torn), position

    def _ragged(self, line: int, count: int, text: str) -> Torn:
        return Torn(line, "ragged_row", f"{_values(count)}, the header names {self.width}", text.rstrip("\r\n")[:_SHOWN])

    def _made(self, rows: Sequence[Sequence[str | None]], lines: Sequence[int], torn: Sequence[Torn]) -> RowBatch:
        columns = zip(*rows, strict=True) if rows else ([] for _ in range(self.width))
        return RowBatch(tuple(pa.array(column, pa.string()) for column in columns), np.array(lines, np.int64), tuple(torn))

    def _after(self, text: str) -> int:
        """Return the number of the line after the text."""
        lines = text.count("\n")
        return self.line + (lines if "\r" not in text else lines + text.count("\r") - text.count("\r\n"))

    def _never_closed(self, line: int) -> JobRefused:
        return JobRefused(
            f"{self.url}, line {line}: a quote that is opened in this row is never closed (or the row has more than 64 MiB); "
            "close it, double it where it is a character, or say by --quote which character the file quotes with"
        )


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"
