"""Calls of `tunebench` within the test process, and the tables that it prints read back."""

import re

from harness.cli import main


def refusal_of(capsys, *arguments):
    """Run a command that must refuse with 2 and print nothing but one message; return the message."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("tunebench: ")
    assert "Traceback" not in captured.err
    return captured.err


def output_of(capsys, *arguments):
    """Run a command that must succeed and write nothing to standard error; return what it prints."""
    assert main([str(argument) for argument in arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def table_cells(text):
    """Split each line of a printed table into its cells: columns stand at least two spaces apart."""
    return [re.split(r" {2,}", line.rstrip()) for line in text.splitlines()]
