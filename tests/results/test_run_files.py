import pytest

from harness.errors import BadResultFile
from harness.results import codec, run_files
from harness.results.records import Bundle
from tests.support.samples import run_info


def test_a_bundle_from_the_future_is_refused(tmp_path):
    path = tmp_path / "bundle.json"
    path.write_bytes(codec.encode(Bundle(schema=99, run=run_info(), environment=None, records=())))
    with pytest.raises(BadResultFile, match=r"bundle\.json: schema 99"):
        run_files.read(path, Bundle)


def test_a_file_of_a_later_schema_is_told_by_its_schema_whatever_else_it_holds(tmp_path):
    path = tmp_path / "bundle.json"
    path.write_text('{"schema": 2, "everything": "else"}')
    with pytest.raises(BadResultFile, match=r"schema 2; this version reads 1\. Update tunebench"):
        run_files.read(path, Bundle)
