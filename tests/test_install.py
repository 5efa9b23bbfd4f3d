"""Does a new checkout install, by uv and by pip alike, and does it say plainly what a machine lacks?"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

# Real installations: the network, and more minutes than the suite's limit allows.
pytestmark = [pytest.mark.install, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[1]
SETTINGS = {"EXTRAS", "INSTALLER", "JAVA_HOME", "PYTHON", "PYTHONPATH", "TORCH", "VENV", "VIRTUAL_ENV"}
LIST_VERSIONS = """
import importlib.metadata, json
print(json.dumps({d.name.lower().replace("_", "-"): d.version for d in importlib.metadata.distributions()}))
"""


def environment(**settings: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in SETTINGS} | settings


def run(*command: str | Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def install(checkout: Path, extras: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    return run(checkout / "scripts/install.sh", extras, env=environment(**settings))


def in_environment(checkout: Path, code: str) -> str:
    done = run(checkout / ".venv/bin/python", "-I", "-c", code, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stdout


def written(checkout: Path) -> dict[Path, int]:
    """When each file of the environment was last written, but for what Python compiles by itself."""
    files = [path for path in (checkout / ".venv").rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    return {path: path.stat().st_mtime_ns for path in files}


def fake(directory: Path, name: str, script: str) -> str:
    """Put a program on a PATH of its own, before the real ones; return that PATH."""
    program = directory / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    yield copy_of_the_checkout(tmp_path / "checkout")
    shutil.rmtree(tmp_path)  # pytest would keep the environments of three sessions


def copy_of_the_checkout(target: Path) -> Path:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def path_with_uv(tmp_path_factory: pytest.TempPathFactory) -> str:
    venv = tmp_path_factory.mktemp("uv")
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin/python", "-m", "pip", "install", "--quiet", "uv"], check=True)
    return f"{venv / 'bin'}:{os.environ['PATH']}"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, path_with_uv: str) -> Iterator[dict[str, Path]]:
    """Two checkouts, each with the core installed: by uv and by pip."""
    checkouts = {}
    for installer in ("uv", "pip"):
        checkouts[installer] = copy_of_the_checkout(tmp_path_factory.mktemp(installer) / "checkout")
        done = install(checkouts[installer], INSTALLER=installer, PYTHON=sys.executable, PATH=path_with_uv)
        assert done.returncode == 0, done.stdout + done.stderr
    yield checkouts
    for target in checkouts.values():
        shutil.rmtree(target)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_package_of_the_checkout_is_the_one_imported(installed: dict[str, Path], installer: str) -> None:
    imported = in_environment(installed[installer], "import bigdata_ml; print(bigdata_ml.__file__)").strip()
    assert Path(imported) == installed[installer] / "bigdata_ml/__init__.py"


def test_the_wheel_has_no_file_that_python_runs_at_its_start(checkout: Path, path_with_uv: str, tmp_path: Path) -> None:
    done = run("uv", "build", "--wheel", "--out-dir", tmp_path / "wheel", checkout, env=environment(PATH=path_with_uv))
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "bigdata_ml/petastorm_bridge/__init__.py" in names
    assert [name for name in names if name.endswith((".pth", "sitecustomize.py", "usercustomize.py"))] == []


def test_uv_and_pip_install_the_same_versions(installed: dict[str, Path]) -> None:
    by_uv, by_pip = (json.loads(in_environment(installed[installer], LIST_VERSIONS)) for installer in ("uv", "pip"))
    for own in ("pip", "setuptools"):
        by_pip.pop(own, None)
    assert by_uv == by_pip


def test_the_core_brings_neither_torch_nor_spark(installed: dict[str, Path]) -> None:
    versions = json.loads(in_environment(installed["pip"], LIST_VERSIONS))
    assert not {"torch", "pyspark", "matplotlib"} & set(versions)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_second_installation_is_silent_and_does_nothing(installed: dict[str, Path], installer: str) -> None:
    before = written(installed[installer])
    done = install(installed[installer])
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert written(installed[installer]) == before


def test_an_environment_with_other_settings_is_left_alone(installed: dict[str, Path]) -> None:
    done = install(installed["pip"], TORCH="cpu")
    assert done.returncode == 1
    assert "made with other settings" in done.stderr
    assert in_environment(installed["pip"], "import bigdata_ml") == ""


def test_changed_pins_are_installed(checkout: Path, path_with_uv: str) -> None:
    settings = {"INSTALLER": "uv", "PYTHON": sys.executable, "PATH": path_with_uv}
    assert install(checkout, **settings).returncode == 0
    pins = checkout / "constraints.txt"
    pins.write_text(re.sub(r"^rich==.*$", "rich==14.0.0", pins.read_text(), flags=re.MULTILINE))
    assert install(checkout, **settings).returncode == 0
    assert json.loads(in_environment(checkout, LIST_VERSIONS))["rich"] == "14.0.0"


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_petastorm_comes_without_its_old_setuptools(checkout: Path, path_with_uv: str, installer: str) -> None:
    settings = {"INSTALLER": installer, "PYTHON": sys.executable, "PATH": path_with_uv}
    done = install(checkout, "petastorm", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    code = "import bigdata_ml.petastorm_bridge, petastorm.reader; print(petastorm.__version__)"
    assert in_environment(checkout, code).strip() == "0.13.1"
    before = written(checkout)
    assert (install(checkout, "petastorm", **settings).stdout, written(checkout)) == ("", before)


def test_extras_add_up_and_fewer_need_no_installation(checkout: Path, path_with_uv: str) -> None:
    settings = {"INSTALLER": "uv", "PYTHON": sys.executable, "PATH": path_with_uv}
    assert install(checkout, "images", **settings).returncode == 0
    assert "bigdata_ml[images,pages]" in install(checkout, "pages", **settings).stdout
    assert install(checkout, "images", **settings).stdout == ""


def test_an_interrupted_installation_is_done_again(checkout: Path, path_with_uv: str) -> None:
    settings = {"INSTALLER": "pip", "PYTHON": sys.executable}
    started = subprocess.Popen(
        [checkout / "scripts/install.sh"], env=environment(**settings), stdout=subprocess.DEVNULL, start_new_session=True
    )
    while not (checkout / ".venv/bin/python").exists():
        assert started.poll() is None
        time.sleep(0.01)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    half_made = checkout / ".venv/half-made"
    half_made.touch()

    assert install(checkout, **settings | {"INSTALLER": "uv", "PATH": path_with_uv}).returncode == 0
    assert not half_made.exists()
    assert in_environment(checkout, "import bigdata_ml") == ""


def test_an_installation_without_network_leaves_the_environment_as_it_was(installed: dict[str, Path]) -> None:
    done = install(installed["pip"], "images", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0")
    assert done.returncode == 1
    again = install(installed["pip"])
    assert (again.returncode, again.stdout) == (0, "")
    assert in_environment(installed["pip"], "import bigdata_ml") == ""


def test_an_old_python_is_named(checkout: Path, tmp_path: Path) -> None:
    old = f"""exec "{sys.executable}" -c 'import sys; sys.version_info = (3, 9, 18); exec(sys.argv[2])' "$@" """
    done = install(checkout, PATH=fake(tmp_path, "python3", old))
    assert (done.returncode, done.stdout) == (1, "")
    assert "Python 3.10 or newer is needed; 'python3' is Python 3.9" in done.stderr


def test_a_missing_python_is_named(checkout: Path) -> None:
    done = install(checkout, PYTHON="python3.10-of-nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert "found none: 'python3.10-of-nobody' does not run" in done.stderr


def test_a_missing_venv_module_is_named_with_its_package(checkout: Path, tmp_path: Path) -> None:
    bare = f"""case "$*" in *ensurepip*) exit 1 ;; esac; exec "{sys.executable}" "$@" """
    done = install(checkout, INSTALLER="pip", PATH=fake(tmp_path, "python3", bare))
    assert (done.returncode, done.stdout) == (1, "")
    assert "sudo apt-get install python3-venv" in done.stderr


def test_an_unknown_extra_is_named(checkout: Path) -> None:
    done = install(checkout, "images,sparks", INSTALLER="pip", PYTHON=sys.executable)
    assert done.returncode == 1
    assert "no extra named 'sparks'" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_directory_that_is_no_environment_is_left_alone(checkout: Path, tmp_path: Path) -> None:
    done = install(checkout, VENV=str(tmp_path), PYTHON=sys.executable)
    assert done.returncode == 1
    assert "is no virtual environment" in done.stderr


def test_a_missing_java_is_named_with_its_package(tmp_path: Path) -> None:
    done = run("/bin/sh", ROOT / "scripts/check-java.sh", env=environment(PATH=str(tmp_path)))
    assert done.returncode == 1
    assert "Spark needs Java 17 or newer; 'java' is: none" in done.stderr
    assert "sudo apt-get install openjdk-17-jre-headless" in done.stderr


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.24"])
def test_an_old_java_is_named(tmp_path: Path, version: str) -> None:
    path = fake(tmp_path, "java", f"""echo 'openjdk version "{version}" 2024-07-16' >&2""")
    done = run(ROOT / "scripts/check-java.sh", env=environment(PATH=path))
    assert done.returncode == 1
    assert f"'java' is: {version}." in done.stderr


@pytest.mark.parametrize("version", ["17", "21.0.5", "25-ea"])
def test_a_java_of_17_or_newer_is_silently_taken(tmp_path: Path, version: str) -> None:
    path = fake(tmp_path, "java", f"""echo 'java version "{version}" 2025-01-21 LTS' >&2""")
    done = run(ROOT / "scripts/check-java.sh", env=environment(PATH=path))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_java_home_goes_before_the_path(tmp_path: Path) -> None:
    path = fake(tmp_path, "java", """echo 'openjdk version "21.0.5"' >&2""")
    done = run(ROOT / "scripts/check-java.sh", env=environment(PATH=path, JAVA_HOME=str(tmp_path / "nowhere")))
    assert done.returncode == 1
    assert "unset JAVA_HOME" in done.stderr
