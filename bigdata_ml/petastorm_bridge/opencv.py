"""OpenCV 5 complains on stderr, once an image, of the JPEG quality that Petastorm passes for PNG as well."""

from collections.abc import Sequence
from typing import Any

__all__ = ["imencode"]


def imencode(extension: str, image: Any, parameters: Sequence[int] = ()) -> Any:
    """Encode as `cv2.imencode` does; parameters that PNG does not know are left out."""
    import cv2

    return cv2.imencode(extension, image, [] if extension.lower() == ".png" else parameters)
