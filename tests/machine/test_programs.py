import os
import sys
from pathlib import Path

from harness.machine import programs


def python(code, directory, **more):
    return programs.run([sys.executable, "-c", code], directory=directory, **more)


def test_a_program_that_ends_well_gives_what_it_prints(tmp_path):
    done = python("import os, sys; print(os.getcwd()); print('aside', file=sys.stderr)", tmp_path)
    assert (done.ok, done.output) == (True, str(tmp_path.resolve()))


def test_the_last_lines_of_its_complaint_say_why_a_program_failed(tmp_path):
    code = "import sys; print('aside'); [print(i, file=sys.stderr) for i in range(20)]"
    code += "; sys.exit('\\nbecause\\nWARNING: x')"
    done = python(code, tmp_path)
    assert not done.ok
    assert done.complaint.split("\n  ") == [*map(str, range(13, 20)), "because"]


def test_without_a_complaint_it_is_what_a_program_printed(tmp_path):
    assert (
        python("import sys; print('because'); print('WARNING: x', file=sys.stderr); sys.exit(1)", tmp_path).complaint
        == "because"
    )


def test_a_program_that_fails_in_silence_has_its_exit_code_said(tmp_path):
    assert python("raise SystemExit(7)", tmp_path).complaint == "nothing, and ended with exit code 7"


def test_a_program_that_is_not_there_has_failed(tmp_path):
    done = programs.run(["no-such-program-here"], directory=tmp_path)
    assert (done.ok, done.output) == (False, "")
    assert done.complaint == "no-such-program-here: No such file or directory"


def test_a_variable_is_left_out_where_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("LEFT", "1")
    code = "import os; print(os.environ.get('KEPT'), os.environ.get('LEFT'))"
    assert python(code, tmp_path, unset=("LEFT", "NOT_SET")).output == "1 None"


def test_the_home_directory_is_not_told(tmp_path):
    assert python(f"raise SystemExit({str(Path.home() / 'x')!r})", tmp_path).complaint == (
        "~/x" if Path.home() != Path("/") else "/x"
    )


def test_a_program_that_asks_gets_no_answer(tmp_path):
    reader, writer = os.pipe()
    os.write(writer, b"yes")
    os.close(writer)
    ours = os.dup(0)
    os.dup2(reader, 0)
    try:
        assert python("import sys; print(repr(sys.stdin.read()))", tmp_path).output == "''"
    finally:
        os.dup2(ours, 0)
        os.close(ours)
        os.close(reader)
