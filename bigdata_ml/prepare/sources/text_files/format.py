"""Format of text files: separator, quote, encoding, null value, decimal comma, thousands."""

import codecs
import difflib
import encodings.aliases
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["TextFormat"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TextFormat:
    r"""Format of CSV files; JSON files use only the encoding.

    Attributes:
        separator: between values; by default a comma, or a tab in `.tsv` (`\t` means a tab).
        quote: around values with a separator, quote or line break; empty if no values are quoted.
        encoding: by default UTF-8, or UTF-16 or UTF-32 by the byte order mark.
        decimal_comma: numbers have a decimal comma.
        thousands: the character between groups of three digits; empty for none.
        null_value: the text that means null, in addition to empty values; quoted text is never null.
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
        """Return the separator for a file ending."""
        return self.separator or ("\t" if ending == ".tsv" else ",")

    @property
    def grouped(self) -> str:
        """A regular expression for numbers with separated groups of three digits."""
        mark = f"[{self.thousands}]" if self.thousands not in (*"\\^]",) else f"\\{self.thousands}"
        return rf"^[+-]?\d{{1,3}}({mark}\d{{3}})+({',' if self.decimal_comma else '[.]'}\d+)?$"

    def plain_numbers(self, texts: pa.Array) -> pa.Array:
        """Rewrite numbers with a decimal point and without thousands; other texts do not become numbers."""
        if self.thousands:
            grouped = pc.match_substring_regex(texts, self.grouped)
            # Numbers with other groups keep their marks, and stay text.
            texts = pc.if_else(grouped, pc.replace_substring(texts, self.thousands, ""), texts)
        if self.decimal_comma:
            for old, new in ((".", "\0"), (",", "."), ("\0", ",")):
                texts = pc.replace_substring(texts, old, new)
        return texts


def _check_encoding(name: str) -> None:
    try:
        codec = codecs.lookup(name)
        # Python also lists codecs from bytes to bytes, such as gzip or base64.
        "".encode(codec.name)
    except (LookupError, UnicodeError) as error:
        near = difflib.get_close_matches(name.lower(), [*encodings.aliases.aliases, *encodings.aliases.aliases.values()], 1)
        hint = f"; did you mean {near[0]}?" if near else "; UTF-8, cp1252, iso-8859-1 and utf-16 are often meant"
        raise ValueError(f"encoding {name!r} is none that Python knows{hint}") from error
