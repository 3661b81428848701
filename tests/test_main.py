import papermill
import pytest
from conftest import ROOT, write_clip

from audiotl.__main__ import main


@pytest.mark.parametrize("arguments,words", [
    (["report", "--profile", "huge"], "'huge'"), (["report", "--profile", "full"], "AUDIOTL_DATA"),
    (["report", "--profile", "smoke", "--engine", "spark://here"], "spark://here"),
    (["report", "--device", "abacus"], "abacus"), (["report", "--only", "77"], "'77'"),
    (["report", "--data", "/nowhere/at/all"], "/nowhere/at/all"),
    (["report", "--only", "01", "-p", "epoch", "3"], "'epoch'"),
    (["report", "--only", "02", "-p", "targets", "fsdd,esc51"], "targets"),
    (["report", "--only", "02", "-p", "probes", "svn"], "'svn'"),
    (["report", "--only", "02", "-p", "recipe", "{epoch: 3}"], "recipe"),
    (["report", "--only", "05", "-p", "networks", "vgg"], "'vgg'"),
    (["report", "--only", "02", "--help-parameters", "-p", "corpus_seed", "one"], "corpus_seed"),
    (["report", "--notebooks", "/nowhere/at/all"], "/nowhere/at/all"),
    (["data", "check"], "data check"), (["data", "check", "esc51"], "'esc51'"),
])
def test_a_users_mistake_is_one_sentence_and_status_2(arguments, words, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("AUDIOTL_ENGINE", "")  # to be put back
    monkeypatch.setattr(papermill, "execute_notebook", None)  # no kernel starts
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words.lower() in said.lower() and said.count("\n") == 1 and "Traceback" not in said


def test_the_parameters_are_listed_without_a_run(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    assert main(["report", "--only", "02", "--help-parameters", "--out", str(tmp_path / "x"),
                 "-p", "target", "fsdd"]) == 0
    said = capsys.readouterr().out
    assert "targets (list) = fsdd" in said and "corpus_seed (int)" in said
    assert not (tmp_path / "x").exists()


def test_data_check_lists_what_cannot_be_read(class_folders, capsys):
    assert main(["data", "check", "folder", "--data", str(class_folders)]) == 1
    said = capsys.readouterr().out
    assert "broken.wav" in said and "1 of 37" in said


def test_data_check_of_good_clips(tmp_path, capsys):
    for name in ("a", "b"):
        write_clip(tmp_path / name / "x.wav")
    assert main(["data", "check", "folder", "--data", str(tmp_path)]) == 0
    assert main(["data", "list"]) == 0
    assert "urbansound8k" in capsys.readouterr().out
