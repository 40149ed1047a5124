"""The files of a release: built, checked, and the wheel used in its own environment."""

import importlib.util
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest
import skllkd

ROOT = Path(__file__).resolve().parents[2]
missing = [
    n for n in ("build", "setuptools", "twine") if not importlib.util.find_spec(n)
]
pytestmark = pytest.mark.skipif(
    bool(missing), reason=f"not installed: {', '.join(missing)}"
)

FIT = """
import sys
import skllkd
from skllkd import LLKDClassifier
from skllkd.students import SklearnStudent

assert skllkd.__file__.startswith(sys.prefix), skllkd.__file__
texts = ["apple word", "berry word", "apple thing", "berry thing"] * 5
classifier = LLKDClassifier(
    lambda texts: [text[0] for text in texts], ["a", "b"],
    student=SklearnStudent(), random_state=0, verbose=0,
).fit(texts)
print(*classifier.predict(["an apple", "a berry"]))
"""


def output(*command, **options):
    """Return what a command prints, or fail with it."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """Return the folder with the sdist and the wheel that was built from it."""
    source = tmp_path_factory.mktemp("release") / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "skllkd", source / "skllkd", ignore=ignored)
    output(sys.executable, "-m", "build", "--no-isolation", source)
    return source / "dist"


def test_both_files_have_the_version_and_a_readable_description(release):
    files = sorted(release.iterdir())
    version = re.escape(skllkd.__version__)
    assert re.fullmatch(f"skllkd-{version}-py3-none-any.whl", files[0].name)
    assert re.fullmatch(f"skllkd-{version}.tar.gz", files[1].name)
    checked = output(sys.executable, "-m", "twine", "--no-color", "check", *files)
    assert checked.count("PASSED") == 2


def test_the_wheel_contains_the_whole_package_and_nothing_else(release):
    (wheel,) = release.glob("*.whl")
    names = {n for n in ZipFile(wheel).namelist() if ".dist-info/" not in n}
    package = (ROOT / "skllkd").rglob("*")
    files = {str(p.relative_to(ROOT)) for p in package if p.is_file()}
    assert names == {name for name in files if "__pycache__" not in name}
    assert "skllkd/py.typed" in names


def test_the_wheel_works_in_an_environment_of_its_own(release, tmp_path):
    """Its requirements are those of this environment, which has them already."""
    (wheel,) = release.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    output(python, "-m", "pip", "install", "--no-index", "--no-deps", wheel)
    site = output(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"
    )
    paths = [path for path in sys.path if path.endswith("-packages")]
    (Path(site.strip()) / "here.pth").write_text("\n".join(paths))
    checked = subprocess.run(
        [python, "-m", "pip", "check"], capture_output=True, text=True
    )
    assert not re.search("^skllkd .*", checked.stdout, re.MULTILINE), checked.stdout
    assert output(python, "-W", "error", "-c", FIT, cwd=tmp_path) == "a b\n"
    command = [tmp_path / "venv" / "bin" / "skllkd", "--version"]
    assert skllkd.__version__ in output(*command, cwd=tmp_path)
