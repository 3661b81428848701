"""A stranger's folder: manifests with mistakes, embeddings, what a survey finds."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import write_clip

from audiotl import AudiotlError, datasets
from audiotl.datasets import own_sounds, survey
from audiotl.datasets.corpus import Corpus
from audiotl.embedding import embed
from audiotl.features import features

MANY = "".join(f"a.wav,c{i},{i / 1e5},{(i + 1) / 1e5}\n" for i in range(10_000))
REFUSED = {  # text of the manifest, and what the one sentence names
    "empty file": ("", "cannot be read"), "header alone": ("path,label\n", "no clips"),
    "blank lines alone": ("path,label\n\n\n", "no clips"),
    "no label": ("path,class\na.wav,x\n", "'label'"),
    "no path": ("file,label\na.wav,x\n", "'path'"),
    "semicolons between columns": ("path;label\na.wav;x\n", "'path'"),
    "tabs between columns": ("path\tlabel\na.wav\tx\n", "'path'"),
    "capital letters": ("Path,Label\na.wav,x\n", "'path'"),
    "no header": ("a.wav,x\nb.wav,y\n", "'path'"),
    "too many cells": ("path,label\na.wav,x\nb.wav,y,z,w\n", "cannot be read"),
    "a quote left open": ('path,label\n"a.wav,x\nb.wav,y\n', "cannot be read"),
    "empty label": ("path,label\na.wav,x\nb.wav,\n", "line 3"),
    "label of blanks": ("path,label\na.wav,x\nb.wav,   \n", "line 3"),
    "empty path": ("path,label\na.wav,x\n,y\n", "line 3"),
    "a clip twice": ("path,label\na.wav,x\nb.wav,y\na.wav,x\n", "line 4.*a.wav"),
    "a clip under two labels": ("path,label\na.wav,x\na.wav,y\n", "line 3.*';'"),
    "one class": ("path,label\na.wav,x\nb.wav,x\n", "'x'"),
    "no file there": ("path,label\nq.wav,x\nr.wav,y\n", "None of the 2"),
    "a folder for a file": ("path,label\n.,x\n", "None of the 1"),
    "fold in words": ("path,label,fold\na.wav,x,one\nb.wav,y,two\n", "fold"),
    "half a fold": ("path,label,fold\na.wav,x,1.5\nb.wav,y,2\n", "fold"),
    "empty fold": ("path,label,fold\na.wav,x,\nb.wav,y,1\n", "fold"),
    "start after end": ("path,label,start,end\na.wav,x,0.3,0.1\nb.wav,y,0,0.2\n", "line 2.*'0.3'"),
    "start at end": ("path,label,start,end\na.wav,x,0,0.1\nb.wav,y,0.2,0.2\n", "line 3"),
    "negative start": ("path,label,start,end\na.wav,x,-1,0.1\nb.wav,y,0,0.2\n", "line 2.*'-1'"),
    "start in words": ("path,label,start\na.wav,x,soon\nb.wav,y,0\n", "line 2.*'soon'"),
    "endless end": ("path,label,end\na.wav,x,nan\nb.wav,y,0.1\n", "line 2.*'nan'"),
    "infinite start": ("path,label,start\na.wav,x,inf\nb.wav,y,0\n", "line 2.*'inf'"),
    "start beyond the file": ("path,label,start\na.wav,x,9\nb.wav,y,0\n", "line 2.*9 s"),
    "a copy in two groups": ("path,label,group\na.wav,x,1\ncopy.wav,y,2\nb.wav,y,3\n", "copy.wav"),
    "numbers and a word": ("path,label\na.wav,1.5\nb.wav,2.5\nc.wav,loud\n", "'loud'"),
    "numbers and nan": ("path,label\na.wav,1.5\nb.wav,2.5\nc.wav,nan\n", "'nan'"),
    "numbers and inf": ("path,label\na.wav,1.5\nb.wav,2.5\nc.wav,inf\n", "'inf'"),
    "ten thousand classes": (f"path,label,start,end\n{MANY}", "10,000 classes"),
    "not text": (b"path,label\n\xff\xfe\x00a.wav,x\n", "cannot be read"),
}
TAKEN = {  # text, and labels or groups that come of it
    "byte-order mark": ("\ufeffpath,label\na.wav,x\nb.wav,y\n", ["x", "y"]),
    "line ends of Windows": ("path,label\r\na.wav,x\r\nb.wav,y\r\n", ["x", "y"]),
    "slashes of Windows": ("path,label\nsub\\d.wav,x\nb.wav,y\n", ["x", "y"]),
    "blanks around cells": ("path , label\n a.wav , x\nb.wav,y \n", ["x", "y"]),
    "blank lines": ("path,label\n\na.wav,x\n\nb.wav,y\n", ["x", "y"]),
    "further columns": ("label,note,path\nx,!,a.wav\ny,?,b.wav\n", ["x", "y"]),
    "above the folder": ("path,label\n../m/a.wav,x\n../out.wav,y\n", ["x", "y"]),
    "elsewhere": ("path,label\n{elsewhere},x\nb.wav,y\n", ["x", "y"]),
    "a file that is missing": ("path,label\na.wav,x\ngone.wav,x\nb.wav,y\n", ["x", "y"]),
    "slashes in labels": ("path,label\na.wav,x/../y\nb.wav,/etc\n", ["x/../y", "/etc"]),
    "markup in labels": ("path,label\na.wav,<script>alert(1)</script>\nb.wav,`y` | $z$\n",
                         ["<script>alert(1)</script>", "`y` | $z$"]),
    "NA and null": ("path,label\na.wav,NA\nb.wav,null\n", ["NA", "null"]),
    "numbers for names": ("path,label\na.wav,01\nb.wav,1\n", ["01", "1"]),
    "quoted commas": ('path,label\na.wav,"x, y"\nb.wav,y\n', ["x, y", "y"]),
    "letters of all kinds": ("path,label\na.wav,Ü\nb.wav,鳥\n", ["Ü", "鳥"]),
    "an empty group": ("path,label,group\na.wav,x,\nb.wav,y,\n", ["x", "y"]),
    "tags and none": ("path,label\na.wav,x;y\nb.wav,\nc.wav,; y ;\n", ["x;y", "", "; y ;"]),
    "numbers": ("path,label\na.wav,1\nb.wav,2.5\nc.wav,-3e1\n", ["1", "2.5", "-3e1"]),
    "stretches of a file": ("path,label,start,end\na.wav,x,0,0.2\na.wav,y,0.2,\nb.wav,y,,\n",
                            ["x", "y", "y"]),
    "a file without sound": ("path,label\na.wav,x\nempty.wav,y\nb.wav,y\n", ["x", "y", "y"]),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "m"
    for i, name in enumerate(("a.wav", "b.wav", "c.wav", "sub/d.wav", "../out.wav", "../far.wav")):
        write_clip(folder / name, 0.5, 300 + 50 * i, i)
    (folder / "copy.wav").write_bytes((folder / "a.wav").read_bytes())
    (folder / "empty.wav").write_bytes(b"")
    return folder


def listed(home, text):
    if isinstance(text, str):
        text = text.replace("{elsewhere}", str(home.parent / "far.wav")).encode()
    (home / "manifest.csv").write_bytes(text)
    return datasets.load("manifest", home)


@pytest.mark.parametrize("text,culprit", REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_one_sentence_that_names_it(home, text, culprit):
    with pytest.raises(AudiotlError, match=f"manifest.csv.*{culprit}|{culprit}.*manifest.csv") as e:
        listed(home, text)
    assert "\n" not in str(e.value).strip()


@pytest.mark.parametrize("text,labels", TAKEN.values(), ids=TAKEN)
def test_what_is_no_mistake_is_read(home, text, labels):
    corpus = listed(home, text)
    assert corpus.clips["label"].tolist() == labels
    assert len(set(corpus.groups)) == len({*corpus.groups, ""}) - 1 == len(
        set(corpus.clips["path"])) - ("start" in text)
    assert len(corpus.targets()) == len(labels) and corpus.duration == 1.0
    sound = features(corpus, progress=False)
    assert len(sound.corpus) == len(labels) - ("empty.wav" in text)


def test_labels_are_classes_tags_or_numbers(home):
    tags, numbers = (listed(home, TAKEN[name][0]) for name in ("tags and none", "numbers"))
    assert tags.multilabel and tags.targets().tolist() == [[1, 1], [0, 0], [0, 1]]
    assert numbers.numeric and numbers.targets().tolist() == [1, 2.5, -30]
    digits, ages = (own_sounds._kind(pd.Series([str(i % most) for i in range(100)]), home)
                    for most in (10, 90))
    assert len(digits["classes"]) == 10 and "numeric" not in digits and ages["numeric"]


def test_stretches_are_cut_where_the_table_says(home):
    corpus = listed(home, TAKEN["stretches of a file"][0])
    whole, rate = soundfile.read(home / "a.wav", dtype="float32")
    first, second = (soundfile.read(path, dtype="float32")[0] for path in corpus.clips["path"][:2])
    middle = round(0.2 * rate)
    assert np.array_equal(first, whole[:middle]) and np.array_equal(second, whole[middle:])
    assert corpus.groups[0] == corpus.groups[1] != corpus.groups[2]


def test_a_class_of_one_group_is_refused_by_name(home):
    corpus = listed(home, "path,label\na.wav,x\nb.wav,y\nc.wav,y\nsub/d.wav,y\n")
    with pytest.raises(AudiotlError, match="'x'"):
        corpus.splits(2)


def given(folder, blocks, text="clip,label,group\n1,x,a\n2,y,b\n3,x,c\n4,y,d\n"):
    folder.mkdir(exist_ok=True)
    np.savez(folder / "layers.npz", **blocks)
    (folder / "manifest.csv").write_text(text)
    return datasets.load("embeddings", folder)


def test_embeddings_are_read_as_they_are(tmp_path):
    blocks = {"early": np.arange(8.0).reshape(4, 2), "late": np.arange(4)[:, None]}
    corpus = given(tmp_path / "e", blocks)
    sound = features(corpus.subset([3, 0]))
    assert corpus.classes == ("x", "y") and not sound.mfcc_block and not sound.baselines()
    assert {name: block.tolist() for name, block in embed(None, sound).items()} == {
        "early": [[6, 7], [0, 1]], "late": [[3], [0]]}
    whole = datasets.load("embeddings", tmp_path / "e" / "layers.npz")
    assert whole.groups.tolist() == list("abcd")


@pytest.mark.parametrize("blocks,culprit", [
    ({}, "layers.npz"), ({"a": np.zeros((3, 2))}, "3 rows.*4"), ({"a": np.zeros(4)}, r"\(4,\)"),
    ({"a": np.zeros((4, 2, 2))}, r"\(4, 2, 2\)"), ({"a": np.zeros((4, 0))}, r"\(4, 0\)"),
    ({"a": np.array([[1.0], [2], [np.nan], [4]])}, "row 3"),
    ({"a": np.full((4, 1), np.inf)}, "row 1"), ({"a": np.array([["x"]] * 4)}, "'a'"),
    ({"a": np.array([[None]] * 4, object)}, "layers.npz"),
    ({"a": np.zeros((4, 2), complex)}, "'a'")])
def test_blocks_that_do_not_fit_are_refused(tmp_path, blocks, culprit):
    with pytest.raises(AudiotlError, match=culprit):
        given(tmp_path / "e", blocks)


def test_a_folder_of_embeddings_must_be_whole(tmp_path):
    blocks = {"a": np.zeros((4, 2))}
    with pytest.raises(AudiotlError, match="'clip'"):
        given(tmp_path / "e", blocks, "name,label\n1,x\n")
    (tmp_path / "e" / "more.npz").write_bytes(b"no zip")
    with pytest.raises(AudiotlError, match="2 .npz"):
        datasets.load("embeddings", tmp_path / "e")
    (tmp_path / "e" / "manifest.csv").write_text("clip,label\n1,x\n2,y\n")
    with pytest.raises(AudiotlError, match="more.npz"):
        datasets.load("embeddings", tmp_path / "e" / "more.npz")


def test_a_survey_finds_silence_clipping_and_copies_at_any_level_and_offset(tmp_path, fresh_cache):
    rng, rate = np.random.default_rng(0), 16_000
    sounds = [np.convolve(rng.standard_normal(3 * rate), rng.standard_normal(40), "same") / 60
              for _ in range(6)]
    short = rng.standard_normal(6400) * np.exp(-np.arange(6400) / 3000) / 4
    sounds += [1e-5 * sounds[0], np.clip(9 * np.sin(np.arange(rate) / 8), -1, 1),
               0.2 * sounds[1], sounds[2][4000:], sounds[3], short, short[500:]]
    for i, samples in enumerate(sounds):
        name = tmp_path / "ab"[i % 2] / f"take_{i:02d}.{'ogg' if i == 10 else 'wav'}"
        name.parent.mkdir(exist_ok=True)
        soundfile.write(name, np.clip(samples, -1, 1), rate)
    (tmp_path / "a" / "take_99.wav").write_bytes(b"none")
    corpus = datasets.load("folder", tmp_path)
    table, words = survey.survey(corpus)
    number = corpus.clips["path"].str[-6:-4].astype(int)
    assert number[table["silent"]].tolist() == [6] and number[table["clipped"]].tolist() == [7]
    assert number[table["fault"] != ""].tolist() == [99]
    assert table["seconds"].median() == 3 and set(table["hertz"]) == {0, 16_000}
    copies = survey.near_duplicates(words, corpus.clips["path"])
    found = {frozenset((number[one.first], number[one.second])): abs(one.offset)
             for one in copies.itertuples()}
    assert set(found) == {frozenset(pair) for pair in ((1, 8), (2, 9), (3, 10), (11, 12))}
    assert found[frozenset((2, 9))] == pytest.approx(4000 / rate, abs=0.02)
    joined = survey.joined(corpus.groups, copies[["first", "second"]].to_numpy())
    assert len(set(joined)) == len(corpus) - 4


@pytest.mark.parametrize("names,groups", [
    ([f"1-{100032 + i}-{take}-7" for i in range(5) for take in "AB"], 5),
    ([f"rex{i} ({take})" for i in range(6) for take in (1, 2, 3)], 6),
    ([f"dog_{i}" for i in range(20)], 20), ([f"blues.{i:05d}" for i in range(9)], 9),
    ([f"{speaker}_nohash_{i}" for speaker in ("0a7c", "c2a8", "99f0", "77be") for i in (0, 1)], 4)])
def test_takes_of_one_recording_are_guessed_from_names(names, groups):
    clips = pd.DataFrame({"path": [f"x/{name}.wav" for name in names], "label": "x", "fold": -1,
                          "group": names})
    assert len(set(survey.name_groups(Corpus("c", clips, ("x",), 1.0)))) == groups


def test_a_folder_of_corpora_is_refused(tmp_path):
    for folder in ("ESC-50/audio", "GTZAN/genres"):
        write_clip(tmp_path / folder / "a.wav")
    with pytest.raises(AudiotlError, match="ESC-50, GTZAN/genres"):
        datasets.load("folder", tmp_path)
