"""Text that comes from data or URLs, made fit to be printed, drawn and recorded: no control characters, no secrets."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["printable", "redacted", "redacted_json", "refuse_credentials", "shown"]

_HIDDEN = "***"
# Control and format characters (which turn the direction of text, too), halves of a pair, ends of lines and paragraphs.
_UNSHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")
# Joiners that Persian, Hindi and emoji are written with.
_JOINERS = ("\u200c", "\u200d")

_SECRET_NAME = (
    r"[\w.\-]*(?:password|passwd|passphrase|pwd|credential|secret|token|(?:access|account|api|private|shared)[_.\-]?key)[\w.\-]*"
    r"|pass|sig|signature"
)
_VALUE = r"""(?:'[^']*'|"[^"]*"|\{[^}]*\}|[^\s;&,)#'"]+)"""
_SECRETS = (
    # user:secret@ before a host, which may itself have a port: that is followed by a path or by nothing. Of an URL taken for a
    # path one slash is left.
    (re.compile(r"(:/{1,2}[^/\s:@?#]*:)(?!\d*(?:[/?#]|$))[^\s?#'\"]*@"), rf"\1{_HIDDEN}@"),
    # An S3 secret may hold slashes, and a bucket has no port.
    (re.compile(r"(\bs3[an]?:/{1,2}[^/\s:@]*:)[^\s'\"]*@", re.IGNORECASE), rf"\1{_HIDDEN}@"),
    (re.compile(r"(\boracle:\w+:[^/\s@:]*/)[^\s'\"]*@", re.IGNORECASE), rf"\1{_HIDDEN}@"),
    # Not behind a slash, where it is a directory of a partition.
    (re.compile(rf"(?<![\w/.\-])((?:{_SECRET_NAME})\s*=\s*){_VALUE}", re.IGNORECASE), rf"\1{_HIDDEN}"),
)


def printable(text: str) -> str:
    r"""Return the text in one line, with an escape for each character that is none to be seen.

    >>> printable("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\\nc'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) if _is_unshown(character) else character for character in text)


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text without the passwords and keys that stand in URLs of stores and databases, and without `secrets`.

    >>> redacted("jdbc:mysql://reader:hunter2@host:3306/db"), redacted("s3://KEY:SECRET@bucket/data")
    ('jdbc:mysql://reader:***@host:3306/db', 's3://KEY:***@bucket/data')
    """
    for pattern, hidden in _SECRETS:
        text = pattern.sub(hidden, text)
    for secret in secrets:
        text = text.replace(secret, _HIDDEN) if secret else text
    return text


def redacted_json(value: Any) -> Any:
    """Return a JSON value with all its texts redacted, names in mappings too."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {redacted(key) if isinstance(key, str) else key: redacted_json(element) for key, element in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted_json(element) for element in value]
    return value


def shown(text: str, secrets: Iterable[str] = ()) -> str:
    """Return the text as it may be printed or drawn: redacted and printable."""
    return printable(redacted(text, secrets))


def refuse_credentials(url: str) -> None:
    """Raise `ValueError` for an URL that holds a password or a key: URLs are recorded and shown in many places."""
    without = redacted(url)
    if without != url:
        way = (
            "set JDBC_USER and JDBC_PASSWORD instead"
            if "jdbc:" in url
            else "give them by the environment or the store's own file"
        )
        raise ValueError(f"{printable(without)}: an URL must not hold its password or key, since it is recorded; {way}")


def _is_unshown(character: str) -> bool:
    return (unicodedata.category(character) in _UNSHOWN and character not in _JOINERS) or ord(character) & 0xFFFE == 0xFFFE


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()
