"""Words to sound with eSpeak NG, each voice in a process of its own.

The library keeps state between words that no call resets: the same word twice gives other bytes. A
fresh process and a fixed order give the same bytes on every run, and keep a library that is not
thread safe out of the caller's process. The child needs only the standard library, so that it
starts in some 30 ms.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

RETRIEVAL = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to a callback, Synth returns when done
PARAMETERS = (1, 3, 4)  # espeakRATE, espeakPITCH, espeakRANGE
UTF8 = 1  # espeakCHARS_UTF8
DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: a missing data folder is an answer, not the end


class Utterance(NamedTuple):
    """What to say and how: rate in words a minute (80 to 450), pitch and its range (0 to 100)."""

    text: str
    rate: int
    pitch: int
    range: int


def say(voice: str, utterances: Sequence[Utterance]) -> tuple[int, list]:
    """Speak with one voice, e.g. ``"en-us+f3"`` (language, then variant).

    Returns:
        The sample rate in Hz and one float64 array of shape ``(n,)`` in [-1, 1] an utterance.

    Raises:
        AudiotlError: the synthesiser failed; says how.
    """
    # Imported here, because the child runs this file with the standard library alone.
    import espeakng_loader
    import numpy as np

    from audiotl import AudiotlError

    order = json.dumps({"library": espeakng_loader.get_library_path(), "voice": voice,
                        "data": espeakng_loader.get_data_path(), "utterances": utterances})
    child = subprocess.run([sys.executable, "-I", __file__], input=order.encode(),
                           capture_output=True)
    if child.returncode:
        said = child.stderr.decode(errors="replace").strip().splitlines()
        raise AudiotlError(f"eSpeak NG could not speak as {voice!r} (exit {child.returncode}: "
                           f"{''.join(said[-1:])}); reinstall espeakng-loader 0.2.4.")
    rate, words = json.loads(child.stdout)
    return rate, [np.frombuffer(bytes.fromhex(word), "<i2") / 32768 for word in words]


def main() -> None:
    """The child: an order in JSON on standard input; rate and 16-bit samples in hex on output."""
    order = json.load(sys.stdin)
    library = ctypes.CDLL(order["library"])
    heard: list[bytes] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    def hear(samples: int | None, count: int, events: int | None) -> int:
        if samples and count > 0:
            heard.append(ctypes.string_at(samples, 2 * count))
        return 0

    # A relative path, because the library cuts long ones off, as in a deep virtual environment.
    os.chdir(os.path.dirname(order["data"]))
    rate = library.espeak_Initialize(RETRIEVAL, 0, b".", DONT_EXIT)
    if rate <= 0:
        sys.exit("it did not initialise")
    library.espeak_SetSynthCallback(hear)
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    library.espeak_Synth.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
                                     ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p]
    if library.espeak_SetVoiceByName(order["voice"].encode()):
        sys.exit("no such voice")
    words = []
    for text, *values in order["utterances"]:
        for parameter, value in zip(PARAMETERS, values, strict=True):
            library.espeak_SetParameter(parameter, value, 0)
        heard.clear()
        encoded = text.encode()
        if library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, UTF8, None, None):
            sys.exit(f"it refused {text!r}")
        words.append(b"".join(heard).hex())
    json.dump([rate, words], sys.stdout)


if __name__ == "__main__":
    main()
