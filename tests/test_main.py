import subprocess
import sys

import pytest
from conftest import ROOT, write_clip

from audiotl.__main__ import main


@pytest.mark.parametrize("arguments,words", [
    (["report", "--profile", "huge"], "no profile 'huge'"),
    (["report", "--profile", "full"], "real recordings"),
    (["report", "--only", "77"], "no notebook '77'"),
    (["report", "--data", "/nowhere/at/all"], "not there"),
    (["report", "--only", "01", "-p", "epoch", "3"], "no chosen notebook has a parameter 'epoch'"),
    (["report", "--notebooks", "/nowhere/at/all"], "no notebooks"),
    (["data", "check"], "name of a corpus"),
    (["data", "check", "esc51"], "no corpus 'esc51'"),
])
def test_a_users_mistake_is_one_sentence_and_status_2(arguments, words, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words.lower() in said.lower() and said.count("\n") == 1 and "Traceback" not in said


def test_the_command_itself_shows_no_traceback():
    done = subprocess.run([sys.executable, "-m", "audiotl", "data", "check", "esc51"], capture_output=True, text=True,
                          cwd=ROOT)
    assert done.returncode == 2 and done.stderr.startswith("audiotl: There is no corpus")


def test_data_check_lists_what_cannot_be_read(class_folders, capsys):
    assert main(["data", "check", "folder", "--data", str(class_folders)]) == 1
    said = capsys.readouterr().out
    assert "broken.wav cannot be decoded" in said and "1 of 37 clips" in said


def test_data_check_of_good_clips(tmp_path, capsys):
    for name in ("a", "b"):
        write_clip(tmp_path / name / "x.wav")
    assert main(["data", "check", "folder", "--data", str(tmp_path)]) == 0
    assert main(["data", "list"]) == 0
    assert "urbansound8k" in capsys.readouterr().out
