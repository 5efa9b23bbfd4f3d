"""Avoids OpenCV 5's warning on stderr, once per image, about the JPEG quality that Petastorm also passes for PNG."""

from collections.abc import Sequence
from typing import Any

__all__ = ["imencode"]


def imencode(extension: str, image: Any, parameters: Sequence[int] = ()) -> Any:
    """Encode as `cv2.imencode` does, without parameters for PNG."""
    import cv2

    return cv2.imencode(extension, image, [] if extension.lower() == ".png" else parameters)
