import numpy as np
import pandas as pd
import pytest
from conftest import write_clip

from audiotl import AudiotlError, datasets
from audiotl.datasets.corpus import Corpus, LeakError, deal_groups


def corpus_of(folds, groups, labels=None, **more):
    labels = labels or ["a", "b"] * (len(folds) // 2)
    clips = pd.DataFrame({"path": "x", "label": labels, "fold": folds, "group": groups})
    return Corpus("toy", clips, tuple(sorted(set(labels))), duration=1.0, **more)


def test_a_group_on_both_sides_is_refused_by_name():
    with pytest.raises(LeakError, match="'rex'"):
        corpus_of([1, 1, 2, 2], ["rex", "b", "rex", "c"]).splits()


def test_official_folds_that_cut_a_recording_drop_its_training_clips():
    splits = corpus_of([1, 1, 2, 2], ["rex", "b", "rex", "c"], drop_shared=True).splits()
    assert [(train.tolist(), test.tolist()) for train, test in splits] == [([3], [0, 1]), ([1], [2, 3])]


def test_dealt_folds_keep_groups_whole_and_classes_balanced():
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i}" for i in range(40)], rng.integers(1, 9, 40))
    y = np.array([int(name[1:]) % 4 for name in groups])
    folds = deal_groups(groups, y, 5, seed=1)
    assert all(len(set(folds[groups == g])) == 1 for g in set(groups))
    share = np.array([np.bincount(y[folds == k], minlength=4) for k in range(5)]) / np.bincount(y)
    assert share.min() > 0.1 and share.max() < 0.3
    assert (folds == deal_groups(groups, y, 5, seed=1)).all()


def test_too_few_groups_and_unknown_names_are_one_sentence():
    with pytest.raises(AudiotlError, match="2 groups, too few for 5 folds"):
        corpus_of([-1] * 4, ["a", "a", "b", "b"]).splits(5)
    with pytest.raises(AudiotlError, match="no corpus 'esc51'"):
        datasets.load("esc51")
    with pytest.raises(AudiotlError, match="needs a folder"):
        datasets.load("esc50")
    with pytest.raises(AudiotlError, match="not there"):
        datasets.load("esc50", "/nowhere/at/all")
    with pytest.raises(AudiotlError, match="no class 'dog'"):
        corpus_of([1, 1, 2, 2], list("abcd")).only(["dog"])


def test_folder_of_class_folders(class_folders, tmp_path):
    corpus = datasets.load("folder", class_folders)
    assert corpus.classes == ("high", "low", "middle") and len(corpus) == 37
    with pytest.raises(AudiotlError, match="class folders"):
        datasets.load("folder", class_folders / "low")


def test_manifest(tmp_path):
    for name in ("a.wav", "b.flac", "c.ogg"):
        write_clip(tmp_path / "clips" / name)
    table = tmp_path / "manifest.csv"
    table.write_text("path,label,fold,group\nclips/a.wav,dog;loud,1,x\nclips/b.flac,dog,2,y\nclips/c.ogg,cat,2,y\n"
                     "clips/gone.wav,cat,1,z\n")
    corpus = datasets.load("manifest", tmp_path)
    assert corpus.multilabel and corpus.classes == ("cat", "dog", "loud")
    assert corpus.targets().tolist() == [[0, 1, 1], [0, 1, 0], [1, 0, 0]]
    assert (len(corpus), corpus.listed) == (3, 4) and "1 of 4 listed clips have no usable audio" in corpus.describe()
    table.write_text("path,name\nclips/a.wav,dog\n")
    with pytest.raises(AudiotlError, match="no column 'label'"):
        datasets.load("manifest", tmp_path)
    table.write_text("path,label,fold\nclips/a.wav,dog,one\n")
    with pytest.raises(AudiotlError, match="whole number"):
        datasets.load("manifest", tmp_path)
    table.write_text("path,label\nnothing.wav,dog\n")
    with pytest.raises(AudiotlError, match="None of the 1 files"):
        datasets.load("manifest", table)


def layout(home, files, tables):
    for name in files:
        write_clip(home / name, 0.1)
    for name, text in tables.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)


def test_each_official_layout_with_any_suffix(tmp_path):
    layout(tmp_path, ["UrbanSound8K/audio/fold1/1-3-0-0.wav", "UrbanSound8K/audio/fold2/2-8-0-0.flac"],
           {"UrbanSound8K/metadata/UrbanSound8K.csv":
            "slice_file_name,fsID,start,end,salience,fold,classID,class\n1-3-0-0.wav,1,0,1,1,1,3,dog_bark\n"
            "2-8-0-0.wav,2,0,1,1,2,8,siren\n9-8-0-0.wav,9,0,1,1,5,8,siren\n"})
    urban = datasets.load("urbansound8k", tmp_path)
    assert (len(urban), urban.listed, urban.clips["fold"].tolist()) == (2, 3, [1, 2])
    layout(tmp_path, ["ESC-50/audio/1-100-A-0.ogg", "ESC-50/audio/2-200-A-5.wav"],
           {"ESC-50/meta/esc50.csv": "filename,fold,target,category,esc10,src_file,take\n"
            "1-100-A-0.wav,1,0,dog,True,100,A\n2-200-A-5.wav,2,5,cat,False,200,A\n"})
    assert datasets.load("esc50", tmp_path).classes == ("cat", "dog")
    assert datasets.load("esc10", tmp_path).classes == ("dog",)
    layout(tmp_path, ["SpeechCommands/speech_commands_v0.01/yes/aa_nohash_0.wav",
                      "SpeechCommands/speech_commands_v0.01/no/aa_nohash_1.wav",
                      "SpeechCommands/speech_commands_v0.01/_background_noise_/hum.wav"], {})
    speech = datasets.load("speech_commands", tmp_path)
    assert speech.classes == ("no", "yes") and speech.groups.tolist() == ["aa", "aa"]
    with pytest.raises(AudiotlError, match="no word 'up'"):
        datasets.load("speech_commands_10", tmp_path)
    layout(tmp_path, ["fsdd/recordings/3_ann_0.wav", "fsdd/recordings/4_bob_7.wav"], {})
    digits = datasets.load("fsdd", tmp_path)
    assert digits.groups.tolist() == ["ann", "bob"] and len(digits.splits()) == 2
    layout(tmp_path, ["GTZAN/genres/jazz/jazz.00000.ogg", "GTZAN/genres/rock/rock.00000.ogg"], {})
    assert datasets.load("gtzan", tmp_path).classes == ("jazz", "rock")
    layout(tmp_path, ["philharmonia/flute/flute_A4_025_piano_normal.mp3",
                      "philharmonia/cello/cello_C2_1_forte_arco.mp3"], {})
    notes = datasets.load("philharmonia_tags", tmp_path)
    assert sorted(notes.clips["label"]) == ["cello;strings;low;loud", "flute;flute;middle;soft"]


def test_real_corpora_have_their_published_sizes(recordings):
    urban, esc = datasets.load("urbansound8k", recordings), datasets.load("esc50", recordings)
    assert urban.listed == 8732 and (len(esc), len(esc.classes)) == (2000, 50)
    assert len(datasets.load("fsdd", recordings)) == 3000
    shared = datasets.shared(urban, esc)
    assert len(set(urban.groups[shared])) == 35 and not datasets.related(urban, esc)
    words, ten, notes = (datasets.load(name, recordings) for name in
                         ("speech_commands", "speech_commands_10", "philharmonia"))
    assert datasets.related(words, ten)
    for corpus in (urban, esc, ten, notes):
        assert sum(len(test) for _, test in corpus.splits()) == len(corpus)


def test_a_corpus_shares_everything_with_itself():
    toy = corpus_of([1, 1, 2, 2], list("abcd"))
    assert datasets.shared(toy, toy).all() and datasets.related(toy, toy)
