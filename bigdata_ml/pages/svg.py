"""SVG made fit to stand inside an HTML page: no namespaces, no style sheet, no ids that meet another figure's."""

import re
from xml.etree import ElementTree

from bigdata_ml.shown import shown

__all__ = ["inline_svg", "with_own_ids"]

_LEFT_OUT = {"metadata", "style"}


def inline_svg(raw: bytes, *, title: str, ink: str) -> str:
    """Return an SVG file's drawing as an element for HTML.

    Args:
        raw: an SVG file as matplotlib writes it.
        title: what the figure shows, for those who cannot see it.
        ink: the colour that becomes the page's own text colour, so that it is legible on light and dark.
    """
    root = ElementTree.fromstring(raw)
    for element in root.iter():
        element.tag = _local(element.tag)
        for name in list(element.attrib):
            element.set(_local(name), element.attrib.pop(name).replace(ink, "currentColor"))
    for element in root.iter():
        for child in [node for node in element if node.tag in _LEFT_OUT]:
            element.remove(child)
    _drop_unused_ids(root)
    # Never larger than it was drawn, so that the text of all figures has one size.
    root.set("style", f"max-width: {root.attrib.pop('width')}")
    del root.attrib["height"]
    root.set("role", "img")
    named = ElementTree.Element("title")
    named.text = shown(title)
    root.insert(0, named)
    return ElementTree.tostring(root, encoding="unicode")


def with_own_ids(svg: str, prefix: str) -> str:
    """Return the SVG with `prefix` before each id and each reference to one.

    >>> with_own_ids('<g id="a"><use href="#a" /></g>', "f1-")
    '<g id="f1-a"><use href="#f1-a" /></g>'
    """

    def prefixed(tag: re.Match[str]) -> str:
        return re.sub(r'(?<= id=")|(?<= href="#)|(?<=url\(#)', prefix, tag[0])

    return re.sub(r"<[^>]*>", prefixed, svg)


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _drop_unused_ids(root: ElementTree.Element) -> None:
    values = [value for element in root.iter() for value in element.attrib.values()]
    used = {name for value in values for name in re.findall(r"^#(.+)$|url\(#(.+?)\)", value) for name in name if name}
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
