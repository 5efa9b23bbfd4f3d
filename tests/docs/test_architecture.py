"""The page about the architecture names files and folders that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()


def test_every_file_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|md))`", PAGE))
    assert len(named) > 25
    assert sorted(path for path in named if not any((root / path).is_file() for root in (ROOT, ROOT / "bigdata_ml"))) == []


def test_the_tree_shows_every_folder_of_the_package_and_no_other() -> None:
    tree = PAGE[PAGE.index("    bigdata_ml/") : PAGE.index("## The way of one batch")]
    folders, parents = set(), list[str]()
    for bars, name in re.findall(r"^    ([│ ]*)[├└]── ([a-z_/]+)/(?: |$)", tree, re.MULTILINE):
        parents = [*parents[: len(bars) // 4], name]
        folders.add("/".join(parents))
    inside = {path.parent.relative_to(ROOT / "bigdata_ml") for path in (ROOT / "bigdata_ml").glob("*/**/__init__.py")}
    assert {str(folder) for folder in inside} - folders == set(OF_A_LINE)
    assert all((ROOT / "bigdata_ml" / folder).is_dir() for folder in folders)


# Folders that the line of their parent names, or that only hold its folder.
OF_A_LINE = ["compat", *(f"compat/petastorm/{name}" for name in ("etl", "pytorch", "reading", "spark", "tools", "values"))]
OF_A_LINE += ["train/models", "petastorm_bridge/repairs"]
