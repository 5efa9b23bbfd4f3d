"""`distutils.version.LooseVersion`, which left Python in 3.12, as far as Petastorm compares versions."""

import functools

__all__ = ["LooseVersion"]


@functools.total_ordering
class LooseVersion:
    """A version that can be compared."""

    def __init__(self, text: str) -> None:
        from packaging.version import Version

        self._version = Version(text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LooseVersion) and self._version == other._version

    def __lt__(self, other: "LooseVersion") -> bool:
        return self._version < other._version

    def __hash__(self) -> int:
        return hash(self._version)
