import numpy as np
import pandas as pd
import pytest
from conftest import write_clip

from audiotl import AudiotlError, datasets
from audiotl.datasets.corpus import Corpus, LeakError, deal_groups


def corpus_of(folds, groups, labels=None, name="toy", **more):
    labels = labels or ["a", "b"] * (len(folds) // 2)
    paths = [f"{name}{i}" for i in range(len(folds))]
    clips = pd.DataFrame({"path": paths, "label": labels, "fold": folds, "group": groups})
    return Corpus(name, clips, tuple(sorted(set(labels))), duration=1.0, **more)


def test_official_folds_that_cut_a_recording_are_refused_or_drop_its_training_clips():
    given = [1, 1, 1, 2, 2, 2], ["rex", *"bcd", "rex", "e"], list("abaabb")
    with pytest.raises(LeakError, match="'rex'"):
        corpus_of(*given).splits()
    splits = [(train.tolist(), test.tolist())
              for train, test in corpus_of(*given, drop_shared=True).splits()]
    assert splits == [([3, 5], [0, 1, 2]), ([1, 2], [3, 4, 5])]


def test_dealt_folds_keep_groups_whole_and_classes_balanced():
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i}" for i in range(40)], rng.integers(1, 9, 40))
    y = np.array([int(name[1:]) % 4 for name in groups])
    folds = deal_groups(groups, y, 5, seed=1)
    assert all(len(set(folds[groups == g])) == 1 for g in set(groups))
    counts = np.array([np.bincount(y[folds == k], minlength=4) for k in range(5)])
    share = counts / np.bincount(y)
    assert share.min() > 0.1 and share.max() < 0.3
    assert (folds == deal_groups(groups, y, 5, seed=1)).all()


def test_a_few_clips_are_even_over_classes_and_groups():
    groups = np.repeat([f"g{i}" for i in range(12)], [9, 1, 9, 1, 9, 1] * 2)
    labels = ["a" if int(group[1:]) < 6 else "b" for group in groups]
    corpus = corpus_of([1] * len(groups), groups, labels)
    few = corpus.few(20, seed=1)
    assert few.clips["label"].value_counts().to_dict() == {"a": 10, "b": 10}
    counts = few.clips["group"].value_counts()
    assert len(counts) == 12 and counts.max() <= 3
    assert len(corpus.few(0)) == len(corpus.few(99)) == len(corpus)


def test_errors_name_the_culprit(monkeypatch):
    monkeypatch.delenv("AUDIOTL_DATA", raising=False)
    with pytest.raises(AudiotlError, match="2 groups.* 5 folds"):
        corpus_of([-1] * 4, ["a", "a", "b", "b"]).splits(5)
    with pytest.raises(AudiotlError, match="Class 0"):
        corpus_of([1, 1, 2, 2], list("abcd"), ["x", "y", "y", "y"]).splits()
    for name, data in (("esc51", None), ("esc50", "built-in"), ("esc50", "/nowhere/at/all")):
        with pytest.raises(AudiotlError, match=data if data and "/" in data else name):
            datasets.load(name, data)
    with pytest.raises(AudiotlError, match="'dog'"):
        corpus_of([1, 1, 2, 2], list("abcd")).only(["dog"])


def test_folder_of_class_folders(class_folders):
    corpus = datasets.load("folder", class_folders)
    assert corpus.classes == ("high", "low", "middle") and len(corpus) == 37
    assert (corpus.domain, corpus.title) == ("folder", class_folders.name)
    with pytest.raises(AudiotlError, match="low"):
        datasets.load("folder", class_folders / "low")


def test_manifest(tmp_path):
    for name in ("a.wav", "b.flac", "c.ogg"):
        write_clip(tmp_path / "clips" / name)
    table = tmp_path / "manifest.csv"
    table.write_text("path,label,fold,group\nclips/a.wav,dog;loud,1,x\nclips/b.flac,dog,2,y\n"
                     "clips/c.ogg,cat,2,y\nclips/gone.wav,cat,1,z\n")
    corpus = datasets.load("manifest", tmp_path)
    assert corpus.multilabel and corpus.classes == ("cat", "dog", "loud")
    assert corpus.targets().tolist() == [[0, 1, 1], [0, 1, 0], [1, 0, 0]]
    assert (len(corpus), corpus.listed) == (3, 4)
    for text, culprit in (("path,name\nclips/a.wav,dog\n", "'label'"),
                          ("path,label,fold\nclips/a.wav,dog,one\n", "manifest.csv has a fold"),
                          ("path,label\nnothing.wav,dog\n", "1 files")):
        table.write_text(text)
        with pytest.raises(AudiotlError, match=culprit):
            datasets.load("manifest", table)


def layout(home, *files, **tables):
    for name in files:
        write_clip(home / name, 0.1, seed=sum(name.encode()))
    for name, text in tables.items():
        (home / f"{name}.csv").parent.mkdir(parents=True, exist_ok=True)
        (home / f"{name}.csv").write_text(text)


def test_tables_of_the_environment_corpora_with_any_suffix(tmp_path):
    layout(tmp_path / "UrbanSound8K/metadata", UrbanSound8K=(
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
        "1-3-0-0.wav,1,0,1,1,1,3,dog_bark\n2-8-0-0.wav,2,0,1,1,2,8,siren\n"
        "9-8-0-0.wav,9,0,1,1,5,8,siren\n"))
    layout(tmp_path / "UrbanSound8K/audio", "fold1/1-3-0-0.wav", "fold2/2-8-0-0.flac")
    urban = datasets.load("urbansound8k", tmp_path)
    assert (len(urban), urban.listed, urban.clips["fold"].tolist()) == (2, 3, [1, 2])
    layout(tmp_path / "ESC-50/meta", esc50=(
        "filename,fold,target,category,esc10,src_file,take\n1-100-A-0.wav,1,0,dog,True,100,A\n"
        "2-200-A-5.wav,2,5,cat,False,2,A\n"))
    layout(tmp_path / "ESC-50/audio", "1-100-A-0.ogg", "2-200-A-5.wav")
    esc = datasets.load("esc50", tmp_path)
    assert esc.classes == ("cat", "dog")
    kept, gone = datasets.without_shared(urban, [esc])
    assert gone == 1 and kept.groups.tolist() == ["1"]


def test_layouts_of_the_speech_corpora(tmp_path):
    layout(tmp_path / "SpeechCommands/speech_commands_v0.01", "yes/aa_nohash_0.wav",
           "no/aa_nohash_1.wav", "_background_noise_/hum.wav")
    speech = datasets.load("speech_commands", tmp_path)
    assert speech.classes == ("no", "yes") and speech.groups.tolist() == ["aa", "aa"]
    with pytest.raises(AudiotlError, match="'down'"):
        datasets.load("speech_commands_10", tmp_path)
    layout(tmp_path / "fsdd/recordings", *(f"{d}_{name}_0.wav" for d in "34" for name in "ab"))
    digits = datasets.load("fsdd", tmp_path)
    assert digits.groups.tolist() == list("abab") and len(digits.splits()) == 2
    layout(tmp_path / "ArabicSpeechCommands", "dataset/zoom in/07_NO_01.ogg",
           train="file,class\ndataset/zoom in/07_NO_01.wav,zoom in\n",
           val="file,class\ndataset/up/08_NO_01.wav,up\n", test="file,class\n")
    arabic = datasets.load("arabic_speech_commands", tmp_path)
    assert arabic.clips.iloc[0, 1:].tolist() == ["zoom in", -1, "07", "train"]
    assert (len(arabic), arabic.listed, arabic.classes) == (1, 2, ("up", "zoom in"))
    layout(tmp_path / "RAVDESS", "Actor_02/03-01-01-01-01-01-02.wav",
           "Actor_01/03-01-05-02-01-01-01.wav")
    assert datasets.load("ravdess", tmp_path).clips["label"].tolist() == ["angry", "neutral"]


def test_layouts_of_the_music_corpora(tmp_path):
    layout(tmp_path / "GTZAN/genres", "jazz/jazz.00000.ogg", "rock/rock.00000.ogg")
    assert datasets.load("gtzan", tmp_path).classes == ("jazz", "rock")
    layout(tmp_path / "philharmonia", "flute/flute_A4_025_piano_normal.mp3",
           "french_horn/french-horn_C2_1_forte_arco.mp3")
    notes = datasets.load("philharmonia_tags", tmp_path)
    labels = ["flute;flute;middle;soft", "french_horn;brass;low;loud"]
    assert notes.clips["label"].tolist() == labels
    assert notes.groups.tolist() == ["flute A4", "french_horn C2"]


def test_real_corpora_have_their_published_sizes(recordings):
    sizes = {"fsdd": 3000, "esc50": 2000, "arabic_speech_commands": 12_000, "ravdess": 1440,
             "speech_commands_10": None, "philharmonia": None}
    for name, size in sizes.items():
        corpus = datasets.load(name, recordings)
        assert len(corpus) == corpus.listed == (size or len(corpus))
        assert sum(len(test) for _, test in corpus.splits()) == len(corpus)
    urban, esc = datasets.load("urbansound8k", recordings), datasets.load("esc50", recordings)
    assert datasets.shared_labels(urban, esc) == ["car_horn", "dog", "engine", "siren"]
    assert datasets.shared_labels(esc, urban) == ["car_horn", "dog_bark", "engine_idling", "siren"]
    words, digits, arabic = (datasets.load(name, recordings) for name in (
        "speech_commands", "fsdd", "arabic_speech_commands"))
    assert len(datasets.shared_labels(words, digits)) == 10
    assert datasets.shared_labels(words, arabic) == []
    assert urban.listed == 8732 and len(set(urban.groups[datasets.shared(urban, esc)])) == 35
    assert datasets.related(*(datasets.load(name, recordings)
                              for name in ("speech_commands", "speech_commands_10")))


def test_recordings_of_another_corpus_go_but_views_of_one_corpus_stay():
    toy = corpus_of([1, 1, 2, 2], list("abcd"))
    assert datasets.shared(toy, toy).all() and datasets.related(toy, toy)
    kept, gone = datasets.without_shared(toy, [toy.subset([0])])
    assert (len(kept), gone) == (4, 0)


def test_joined_corpora_keep_groups_and_tell_equal_labels_apart(fresh_cache):
    one, esc50 = (corpus_of([0, 1, 2], list("abc"), ["siren", "x", "y"], name)
                  for name in ("urbansound8k", "esc50"))
    both = datasets.corpus.combined([one, datasets.load("speech", size="smoke")])
    assert list(both.groups[:3]) == list("abc") and both.classes[-1] == "urbansound8k: y"
    assert datasets.shared_labels(both, esc50) == ["siren"] and datasets.shared(esc50, both).all()
    with pytest.raises(AudiotlError, match="music is no corpus"):
        datasets.load("speech+music", size="smoke")
