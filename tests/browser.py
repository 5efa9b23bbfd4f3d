"""Pages as a real browser builds them."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["dom_of", "needs_browser"]

needs_browser = pytest.mark.skipif(
    shutil.which("chromium") is None and "CI" not in os.environ,
    reason="a newcomer needs no browser for the tests; CI installs chromium, and fails without it",
)


def dom_of(page: Path, profile: Path) -> str:
    """Return the page's document as HTML after headless Chromium has read it; `profile` is a directory of its own."""
    quiet = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update"
    command = ["chromium", *quiet.split(), "--disable-sync", f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
