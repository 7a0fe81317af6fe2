import sys
import zipfile

import pytest

from harness.errors import BadArm, Unwritable
from harness.machine.programs import ProgramResult
from harness.machine.programs import run as run_program
from harness.session.ab import venvs
from harness.session.ab.arms import parse
from harness.session.ab.installation import Installation

WANTED = parse("pip:mlx-lm==0.31.3")


class FakePrograms:
    """In place of `python -m venv`, pip and a venv's Python; *fails* names the one that does not do it."""

    def __init__(self):
        self.calls = []
        self.fails = None
        self.versions = "mlx 0.31\nmlx-lm 0.31.3"

    def run(self, words, *, directory, unset=()):
        what = "venv" if "venv" in words else "pip" if "pip" in words else "ask"
        self.calls.append((what, words, unset))
        if self.fails == what:
            return ProgramResult(ok=False, output="", complaint="ERROR: no")
        if self.fails == f"break {what}":
            raise KeyboardInterrupt
        if what == "venv":
            python = venvs.Path(words[-1]) / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.touch()
        return ProgramResult(ok=True, output=self.versions if what == "ask" else "", complaint="")

    def made(self):
        return [what for what, *_ in self.calls if what != "ask"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(venvs, "current_installation", lambda: Installation(words=("--editable", "/here"), state="s"))
    return tmp_path / "cache" / "venvs"


@pytest.fixture
def programs(cache, monkeypatch):
    fake = FakePrograms()
    monkeypatch.setattr("harness.machine.programs.run", fake.run)
    return fake


def have(text="pip:mlx-lm==0.31.3"):
    lines = []
    return venvs.venv(parse(text), say=lines.append), lines


def test_tunebench_and_the_wish_are_installed_in_one_call(cache, programs):
    environment, lines = have()
    (directory,) = (path for path in cache.iterdir() if path.is_dir())
    assert environment.python == directory / "bin" / "python"
    assert environment.versions == {"mlx": "0.31", "mlx-lm": "0.31.3"}
    assert programs.made() == ["venv", "pip"]
    (_, venv, _), (_, pip, unset), _ = programs.calls
    assert venv == [sys.executable, "-m", "venv", str(directory)]
    assert pip[:3] == [str(environment.python), "-m", "pip"]
    assert pip[-3:] == ["--editable", "/here", "mlx-lm==0.31.3"]
    assert "PYTHONPATH" in unset
    (line,) = lines
    assert line.startswith("pip:mlx-lm==0.31.3: making a virtual environment in ")


def test_what_was_asked_for_and_mlx_are_told_by_the_new_python(programs):
    programs.versions += "\nnumpy 2.4"
    environment, _ = have("pip:numpy")
    assert environment.versions == {"mlx": "0.31", "mlx-lm": "0.31.3", "numpy": "2.4"}
    assert programs.calls[-1][1][-3:] == ["mlx", "mlx-lm", "numpy"]
    assert programs.calls[-1][1][0] == str(environment.python)


def test_what_was_made_is_used_again_without_a_word(programs):
    first, _ = have()
    again, lines = have("pip:MLX_LM == 0.31.3")
    assert (again, lines) == (first, [])
    assert programs.made() == ["venv", "pip"]


def test_another_wish_another_tunebench_and_another_python_have_their_own(programs, monkeypatch):
    programs.versions = "mlx-lm 0.31.3\nmlx 0.31"
    pythons = {have()[0].python, have("pip:mlx-lm")[0].python, have("pip:mlx")[0].python}
    monkeypatch.setattr(venvs, "current_installation", lambda: Installation(words=("--editable", "/here"), state="t"))
    pythons.add(have()[0].python)
    monkeypatch.setattr(venvs, "current_installation", lambda: Installation(words=("--editable", "/there"), state="t"))
    pythons.add(have()[0].python)
    monkeypatch.setattr(sys, "version", "4.0")
    pythons.add(have()[0].python)
    monkeypatch.setattr(sys, "base_prefix", "/opt")
    pythons.add(have()[0].python)
    assert len(pythons) == 7


@pytest.mark.parametrize(
    ("fails", "said"), [("venv", "makes no virtual environment; "), ("pip", "pip could not install")]
)
def test_what_cannot_be_made_says_why_and_leaves_nothing(cache, programs, fails, said):
    programs.fails = fails
    with pytest.raises(BadArm, match=f"environment 'pip:mlx-lm==0.31.3': .*{said}(.|\n)*ERROR: no$"):
        have()
    assert [path for path in cache.iterdir() if path.is_dir()] == []
    programs.fails = None
    assert have()[0].python.exists()


def test_versions_that_do_not_go_together_are_named(programs, monkeypatch):
    printed = """Collecting mlx-lm
The conflict is caused by:
    tunebench 0.1.0 depends on mlx-lm>=0.28
    The user requested mlx-lm==0.20.1

To fix this you could try to: 1. loosen"""
    run = programs.run

    def refuses(words, **more):
        return (
            ProgramResult(ok=False, output=printed, complaint="ERROR: impossible")
            if "pip" in words
            else run(words, **more)
        )

    monkeypatch.setattr("harness.machine.programs.run", refuses)
    with pytest.raises(BadArm) as caught:
        have()
    why = str(caught.value).splitlines()[1:]
    assert why == [
        "  tunebench 0.1.0 depends on mlx-lm>=0.28",
        "  The user requested mlx-lm==0.20.1",
        "  ERROR: impossible",
    ]


def test_an_interrupted_one_is_never_used(cache, programs):
    programs.fails = "break pip"
    with pytest.raises(KeyboardInterrupt):
        have()
    assert [path for path in cache.iterdir() if path.is_dir()] == []


def test_one_without_its_mark_is_made_anew(programs):
    environment, _ = have()
    directory = environment.python.parents[1]
    (directory / "tunebench-complete").unlink()
    (directory / "half").touch()
    assert have()[0] == environment
    assert programs.made() == ["venv", "pip"] * 2
    assert not (directory / "half").exists()


def test_one_whose_python_does_not_start_any_more_is_made_anew(programs, monkeypatch):
    have()
    asked = programs.run

    def broken_once(words, **more):
        monkeypatch.setattr("harness.machine.programs.run", asked)
        return ProgramResult(ok=False, output="", complaint="")

    monkeypatch.setattr("harness.machine.programs.run", broken_once)
    _, lines = have()
    assert len(lines) == 1
    assert programs.made() == ["venv", "pip"] * 2


@pytest.mark.parametrize(("printed", "found"), [("mlx 1\nmlx-lm 0.32.2", "mlx-lm 0.32.2"), ("mlx 1", "no mlx-lm")])
def test_other_versions_than_asked_for_are_never_measured(programs, printed, found):
    programs.versions = printed
    with pytest.raises(BadArm, match=f"python -m pytest would measure {found}; accepted is .*: leave .*PYTHONPATH"):
        have()


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch, programs):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TUNEBENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(Unwritable, match=r"file/venvs/.*: Not a directory; set TUNEBENCH_CACHE"):
        have()


def wheel(folder, name, version, needs=()):
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        f"{module}.py": f"version = {version!r}\n",
        f"{info}/METADATA": head + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def test_pip_finds_versions_that_go_together(cache, tmp_path, monkeypatch):
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    wheel(shelf, "tunebench", "1", needs=["mlx-lm>=2"])
    for version in ("1", "2", "3"):
        wheel(shelf, "mlx-lm", version)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(venvs, "current_installation", lambda: Installation(words=("tunebench==1",), state=""))
    environment, _ = have("pip:mlx-lm<3")
    assert environment.versions == {"mlx-lm": "2"}
    done = run_program([str(environment.python), "-c", "import mlx_lm; print(mlx_lm.version)"], directory=tmp_path)
    assert done.output == "2"
