"""Networks trained at scale against what their authors published; skipped without the files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import DATA as ROOT
from test_pretrained import WEIGHTS, sound, there

from audiotl import AudiotlError
from audiotl.audio import load
from audiotl.models import pretrained
from audiotl.models.pretrained.speech_embedding import AROUND
from audiotl.models.pretrained.yamnet import LogMel

YAMNET, SPEECH = WEIGHTS["yamnet"], WEIGHTS["speech_embedding"]
ESC50 = there("ESC-50", "audio")
ACCEPTABLE = {
    "airplane": "Aircraft", "breathing": "Breathing", "car_horn": "Vehicle horn, car horn, honking",
    "cat": "Cat", "chainsaw": "Chainsaw", "chirping_birds": "Bird", "church_bells": "Church bell",
    "clapping": "Clapping|Applause", "clock_alarm": "Alarm|Alarm clock",
    "clock_tick": "Tick|Tick-tock", "coughing": "Cough",
    "cow": "Moo|Cattle, bovinae", "crackling_fire": "Fire|Crackle",
    "crickets": "Cricket|Insect", "crow": "Crow|Caw|Bird", "crying_baby": "Baby cry, infant cry",
    "dog": "Dog|Bark", "door_wood_knock": "Knock|Door", "engine": "Engine|Idling",
    "fireworks": "Fireworks|Explosion", "footsteps": "Walk, footsteps", "frog": "Frog",
    "glass_breaking": "Glass|Shatter", "helicopter": "Helicopter|Aircraft",
    "hen": "Chicken, rooster|Cluck", "insects": "Insect|Fly, housefly|Bee, wasp, etc.",
    "keyboard_typing": "Typing|Computer keyboard", "laughing": "Laughter", "pig": "Oink|Pig",
    "mouse_click": "Mouse|Typing|Clicking", "pouring_water": "Pour|Water|Liquid",
    "rain": "Rain|Raindrop", "rooster": "Chicken, rooster|Crowing, cock-a-doodle-doo",
    "sea_waves": "Waves, surf|Ocean", "sheep": "Sheep|Bleat", "siren": "Siren",
    "sneezing": "Sneeze", "snoring": "Snoring", "thunderstorm": "Thunder|Thunderstorm",
    "toilet_flush": "Toilet flush", "train": "Train|Rail transport",
    "vacuum_cleaner": "Vacuum cleaner", "water_drops": "Drip|Water|Liquid", "wind": "Wind",
    "washing_machine": "Mechanical fan|Vehicle|Engine", "hand_saw": "Sawing|Wood",
    "brushing_teeth": "Toothbrush|Electric toothbrush", "door_wood_creaks": "Door|Creak|Squeak",
    "can_opening": "Crushing|Liquid|Tools", "drinking_sipping": "Liquid|Gargling",
}
"""Names of AudioSet that a listener would accept for a class of ESC-50."""


def clips_of_esc50(count: int, seed: int, categories=None) -> list[tuple[str, Path]]:
    [table] = (ROOT / "ESC-50" / "meta").glob("*.csv")
    clips = pd.read_csv(table)
    clips = clips[clips["category"].isin(categories)] if categories else clips
    files = {path.stem: path for path in (ROOT / "ESC-50" / "audio").iterdir()}
    drawn = clips.sample(count, random_state=seed)
    return [(row.category, files[Path(row.filename).stem]) for row in drawn.itertuples()]


def heard(path: Path, rate: int) -> torch.Tensor:
    return torch.from_numpy(load(path, rate))[None]


@YAMNET
def test_yamnet_hears_its_test_vectors():
    # The makers of this file brought the clip to full scale and added 0.01 before the logarithm;
    # the network's own authors, and so this package, add 0.001 and leave the level.
    folder = ROOT / "networks" / "yamnet"
    audio = np.fromfile(folder / "yamnet_test_audio.bin", "<i2").astype(np.float32)
    spectra = np.fromfile(folder / "yamnet_test_spectra.bin", "<f4").reshape(96, 64)
    ours = LogMel(offset=0.01)(torch.from_numpy(audio / np.abs(audio).max())[None])
    theirs = torch.from_numpy(spectra.T.copy())[None]
    assert (ours - theirs).abs().max() <= 0.02
    net = pretrained.load("yamnet", ROOT)
    with torch.no_grad():
        scores, same = (net.hear(patches)[1][0] for patches in (theirs, ours))
    unscaled = net.tag(torch.from_numpy(audio / 32768)[None])[0]
    assert (scores - same).abs().max() <= 0.02 and len(net.tags) == 521
    assert net.tags[scores.argmax()] == net.tags[unscaled.argmax()] == "Speech"
    assert min(scores.max(), unscaled.max()) > 0.9


@YAMNET
@ESC50
def test_yamnet_names_seven_of_ten_clips_of_esc50():
    net, right = pretrained.load("yamnet", ROOT), 0
    for category, path in clips_of_esc50(30, 0):
        names = [name for name, _ in pretrained.top_tags(net, heard(path, 16_000), 3)]
        right += bool(set(names) & set(ACCEPTABLE[category].split("|")))
    assert right >= 21


@YAMNET
def test_yamnet_and_its_taps_equal_tensorflow_lite():
    # That runtime rounds every map to 8 bits, so the taps agree within a step of those at the mean.
    runtime = pytest.importorskip("ai_edge_litert.interpreter")
    theirs = runtime.Interpreter(str(ROOT / pretrained.card("yamnet").file),
                                 experimental_preserve_all_tensors=True)
    theirs.allocate_tensors()
    spectra = np.fromfile(ROOT / "networks" / "yamnet" / "yamnet_test_spectra.bin", "<f4")
    spectra = spectra.reshape(1, 96, 64)
    theirs.set_tensor(theirs.get_input_details()[0]["index"], spectra)
    theirs.invoke()
    scores = theirs.get_tensor(theirs.get_output_details()[0]["index"])[0]
    with torch.no_grad():
        taps, ours = pretrained.load("yamnet", ROOT).hear(torch.from_numpy(spectra).transpose(1, 2))
    assert np.abs(ours[0].numpy() - scores).max() <= 0.02
    assert np.corrcoef(ours[0], scores)[0, 1] > 0.999
    steps = {one["index"]: one["quantization"] for one in theirs.get_tensor_details()}
    maps = [op["outputs"][0] for op in theirs._get_ops_details() if op["op_name"] == "CONV_2D"]
    for tap, index in zip(taps.values(), maps, strict=True):
        scale, zero = steps[index]
        expected = scale * (theirs.get_tensor(index).astype(float) - zero)
        tap = tap.permute(0, 3, 2, 1).numpy()
        assert np.abs(tap - expected).mean() < scale
        assert np.corrcoef(tap.ravel(), expected.ravel())[0, 1] > 0.998


@WEIGHTS["crnn-sre"]
@ESC50
@there("SpeechCommands", "speech_commands_v0.02", "seven")
@pytest.mark.parametrize("name", ["audioset2", "vox2", "audio2_vox2", "sre", "c1"])
def test_crnns_tell_speech_from_all_else(name):
    net = pretrained.load(f"crnn-{name}", ROOT)
    words = sorted((ROOT / "SpeechCommands" / "speech_commands_v0.02" / "seven").iterdir())
    spoken = words[:: len(words) // 5][:5]
    others = clips_of_esc50(5, 0, ("rain", "engine", "dog", "clock_tick", "chainsaw"))
    chance = [net.tag(heard(path, 22_050))[0, net.tags.index("speech")].item()
              for path in (*spoken, *(path for _, path in others))]
    assert sum(p > 0.5 for p in chance[:5]) + sum(p <= 0.5 for p in chance[5:]) >= 9


@there("GTZAN", "genres")
@pytest.mark.parametrize("name", [
    pytest.param(f"fcn5-{corpus}", marks=WEIGHTS[f"fcn5-{corpus}"])
    for corpus in ("msd", "jamendo", "mtat")])
def test_fcns_name_the_genre(name):
    net = pretrained.load(name, ROOT)
    chance = {genre: dict(zip(net.tags, net.tag(heard(
        sorted((ROOT / "GTZAN" / "genres" / genre).iterdir())[0], 16_000))[0].tolist(),
        strict=True)) for genre in ("metal", "classical")}
    assert chance["metal"]["metal"] > 5 * chance["classical"]["metal"]
    calm = "instrumental" if name == "fcn5-msd" else "classical"
    assert chance["classical"][calm] > 5 * chance["metal"][calm]


@SPEECH
def test_speech_embedding_equals_its_graphs():
    runtime = pytest.importorskip("onnxruntime")
    folder = ROOT / "networks" / "speech_embedding"
    front, network = (runtime.InferenceSession(folder / f"{name}.onnx") for name in (
        "melspectrogram", "embedding_model"))
    net, wave = pretrained.load("speech_embedding", ROOT), sound(16_000, 2.0)
    around = np.pad(32_768 * wave.numpy(), ((0, 0), (AROUND, AROUND)))
    mel = front.run(None, {"input": around})[0].squeeze() / 10 + 2
    assert np.abs(net.log_mel(wave)[0].numpy() - mel).max() < 1e-3
    windows = [mel[start:start + 76] for start in range(0, len(mel) - 75, 8)]
    theirs = network.run(None, {"input_1": np.stack(windows)[..., None]})[0].reshape(-1, 96)
    ours = net.taps(wave, "mean+std")["embedding"][0].numpy()
    scale = np.abs(theirs).max()
    assert np.abs(ours - np.concatenate([theirs.mean(0), theirs.std(0)])).max() < 1e-3 * scale


@SPEECH
def test_activations_of_speech_embedding_equal_its_graph(monkeypatch):
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    graph = onnx.load(ROOT / pretrained.card("speech_embedding").file)
    names = [node.output[0] for node in graph.graph.node if node.op_type == "Max"]
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    net = pretrained.load("speech_embedding", ROOT)
    window = net.log_mel(sound(16_000, 2.0))[:, 60:136]
    monkeypatch.setattr(net, "log_mel", lambda waveform: window)
    theirs = runtime.InferenceSession(graph.SerializeToString()).run(
        names, {"input_1": window[..., None].numpy()})
    for tap, value in zip(list(net.taps(window[0]).values())[:-1], theirs, strict=True):
        expected = torch.from_numpy(value).mean((2, 3))
        assert (tap[:1] - expected).abs().max() < 1e-3 * expected.abs().max()


def test_the_table_of_networks(capsys, monkeypatch, tmp_path):
    from audiotl.__main__ import main

    monkeypatch.setattr(pretrained.registry, "find_spec", lambda package: None)
    table = pretrained.table(tmp_path)
    assert table["network"].tolist() == list(pretrained.NETWORKS) and not table["here"].any()
    assert main(["data", "networks", "--data", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in pretrained.NETWORKS)


def test_fetching_a_network_asks_for_its_pinned_files(monkeypatch, tmp_path):
    from audiotl.__main__ import main

    asked = []
    monkeypatch.setattr(pretrained.registry.download, "download",
                        lambda url, path, digest, progress: asked.append((url, path, digest)))
    assert main(["data", "fetch", "yamnet", "--data", str(tmp_path)]) == 0
    assert [path for _, path, _ in asked] == [tmp_path / file
                                              for file in pretrained.card("yamnet").files]
    assert all(url.startswith("https://") and len(digest) == 64 for url, _, digest in asked)
    with pytest.raises(AudiotlError, match="musicnn"):
        pretrained.fetch("musicnn-mtt", tmp_path)
