"""How text files are written: separator, quote, encoding, the words for null, decimal comma, thousands."""

import codecs
import difflib
import encodings.aliases
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["TextFormat"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextFormat:
    r"""How CSV files are written; of JSON files the encoding.

    Attributes:
        separator: between values; by default a comma, in `.tsv` a tab (`\t` means one).
        quote: around values that hold a separator, a quote or a line break; empty where none are quoted.
        encoding: of the text; by default UTF-8, or UTF-16 and UTF-32 where a byte order mark says so.
        decimal_comma: numbers have a comma where others have a point.
        thousands: the character between groups of three digits; empty where there is none.
        null_value: the text that means null, besides nothing at all; text in quotes is never null.
    """

    separator: str = ""
    quote: str = '"'
    encoding: str = ""
    decimal_comma: bool = False
    thousands: str = ""
    null_value: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "separator", {"\\t": "\t", "tab": "\t"}.get(self.separator, self.separator))
        for name, text in (("separator", self.separator), ("quote", self.quote), ("thousands", self.thousands)):
            if len(text) > 1 or text in ("\n", "\r", "\0", "\ufeff"):
                raise ValueError(f"{name} is one character, and no line break, got {text!r}")
        if self.quote and self.quote in (self.separator or ","):
            raise ValueError(f"separator and quote must differ, got {self.quote!r} for both")
        point = "," if self.decimal_comma else "."
        if self.thousands and (self.thousands in (point, "-", "+") or self.thousands.isalnum()):
            raise ValueError(f"thousands must not be a digit, a letter, a sign or the decimal {point!r}, got {self.thousands!r}")
        if self.encoding:
            _check_encoding(self.encoding)

    def separator_of(self, ending: str) -> str:
        """Return the separator of files of that ending."""
        return self.separator or ("\t" if ending == ".tsv" else ",")

    @property
    def grouped(self) -> str:
        """A regular expression for numbers with thousands, of which groups of three digits are apart."""
        mark = f"[{self.thousands}]" if self.thousands not in (*"\\^]",) else f"\\{self.thousands}"
        return rf"^[+-]?\d{{1,3}}({mark}\d{{3}})+({',' if self.decimal_comma else '[.]'}\d+)?$"

    def plain_numbers(self, texts: pa.Array) -> pa.Array:
        """Return numbers with a decimal point and without thousands; what is no number so written stays none."""
        if self.thousands:
            grouped = pc.match_substring_regex(texts, self.grouped)
            # One that is grouped in another way keeps its marks, and is no number.
            texts = pc.if_else(grouped, pc.replace_substring(texts, self.thousands, ""), texts)
        if self.decimal_comma:
            for old, new in ((".", "\0"), (",", "."), ("\0", ",")):
                texts = pc.replace_substring(texts, old, new)
        return texts


def _check_encoding(name: str) -> None:
    try:
        codec = codecs.lookup(name)
        # Codecs from bytes to bytes, such as gzip or base64, are encodings to Python, too.
        "".encode(codec.name)
    except (LookupError, UnicodeError) as error:
        near = difflib.get_close_matches(name.lower(), [*encodings.aliases.aliases, *encodings.aliases.aliases.values()], 1)
        hint = f"; did you mean {near[0]}?" if near else "; UTF-8, cp1252, iso-8859-1 and utf-16 are often meant"
        raise ValueError(f"encoding {name!r} is none that Python knows{hint}") from error
