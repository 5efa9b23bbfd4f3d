"""Split one CSV row into values, with quotes inside quotes doubled or escaped."""

import re

from bigdata_ml.prepare.sources.text_files.format import TextFormat

__all__ = ["MalformedRow", "RowScanner"]

# Beyond this length, an open quote is also tried as an escaped one.
_FAR = 1 << 20


class MalformedRow(Exception):
    """A row that breaks RFC 4180: what is wrong, and where its text ends."""

    def __init__(self, detail: str, end: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.end = end


class RowScanner:
    """Patterns for the separator and quote of one file.

    Args:
        form: how the file is written.
        separator: between values.
    """

    def __init__(self, form: TextFormat, separator: str) -> None:
        self.form, self.separator = form, separator
        s, q = re.escape(separator), re.escape(form.quote)
        plain = rf"[^{s}\r\n]*"
        self.patterns: dict[str, re.Pattern[str]] = {"plain": re.compile(plain), "end": re.compile(r"\r\n|\n|\r")}
        if q:
            # A closing quote must not be half of a doubled quote, whose second half may not be read yet.
            quoted = rf"{q}[^{q}]*(?:{q}{q}[^{q}]*)*{q}(?!{q})"
            value = rf"(?:{quoted}|(?!{q}){plain})"
            self.patterns |= {
                "doubled": re.compile(quoted),
                "escaped": re.compile(rf"{q}[^{q}\\]*(?:(?:\\.|{q}{q})[^{q}\\]*)*{q}(?!{q})", re.DOTALL),
                "row": re.compile(rf"{value}(?:{s}{value})*(?:\r\n|\n|\r)"),
                "value": re.compile(rf"({value})(?:{s}|\r\n|\n|\r)"),
                "unescape": re.compile(rf"\\([\\{q}])|{q}({q})"),
            }

    def row(self, text: str, position: int, end: int, *, width: int, final: bool) -> tuple[list[str | None], int] | None:
        """Return a row and its end, None if it needs more text; tries doubled quotes, then backslashes."""
        wrong: MalformedRow | None = None
        try:
            row = self.scan(text, position, end, final=final, way="doubled")
        except MalformedRow as error:
            row, wrong = None, error
        if row is not None and len(row[0]) == width:
            return row
        waits = row is None and wrong is None and not final and end - position < _FAR
        if not waits and "\\" + self.form.quote in text[position:end]:
            try:
                escaped = self.scan(text, position, end, final=final, way="escaped")
            except MalformedRow:
                escaped = None
            if escaped is not None and len(escaped[0]) == width:
                return escaped
        if wrong is not None:
            raise wrong
        return row

    def scan(self, text: str, position: int, end: int, *, final: bool, way: str) -> tuple[list[str | None], int] | None:
        """Return a row and its end by one `way` of quoting; None if it needs more text."""
        quote, values = self.form.quote, list[str | None]()
        plain, line_end = self.patterns["plain"], self.patterns["end"]
        while True:
            if quote and text.startswith(quote, position, end):
                match = self.patterns[way].match(text, position, end)
                if match is None:
                    return None
                value: str | None = self._inside(match.group(), way)
            else:
                match = plain.match(text, position, end)
                value = match.group() if match else ""
                value = None if value in ("", self.form.null_value) else value
            values.append(value)
            position = match.end() if match else position
            if text.startswith(self.separator, position, end):
                position += len(self.separator)
                continue
            ending = line_end.match(text, position, end)
            if ending is not None:
                return values, ending.end()
            if position >= end:
                return (values, position) if final else None
            ending = line_end.search(text, position, end)
            if ending is None and not final:
                return None
            detail = f"text follows the closing quote of value {len(values)}; a quote inside quotes is doubled"
            raise MalformedRow(detail, ending.end() if ending else end)

    def _inside(self, quoted: str, way: str) -> str:
        quote = self.form.quote
        if way == "doubled":
            return quoted[1:-1].replace(quote * 2, quote)
        return self.patterns["unescape"].sub(lambda match: match[1] or match[2], quoted[1:-1])
