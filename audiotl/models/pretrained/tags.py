"""The tags that the published networks give, in the order of their outputs.

The lists of music hold the fifty most frequent tags of their corpus.
"""

from __future__ import annotations

MSD = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock",
    "soul", "indie rock", "Mellow", "electronica", "80s", "folk", "90s", "chill", "instrumental",
    "punk", "oldies", "blues", "hard rock", "ambient", "acoustic", "experimental",
    "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening", "sexy",
    "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop",
    "sad", "House", "happy",
)
"""Last.fm tags of the Million Song Dataset, as in the authors' split (``tags.py``)."""

MTT = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast",
    "piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male",
    "singing", "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman",
    "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man", "classic", "choir", "voice",
    "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice", "weird",
    "country", "metal", "female voice", "choral",
)
"""Tags of MagnaTagATune, as in musicnn's ``configuration.py``."""

SPEECH = ("no speech", "speech")
"""What the CRNNs of Dinkel et al. tell apart."""

JAMENDO = (
    "alternative", "ambient", "atmospheric", "chillout", "classical", "dance", "downtempo",
    "easylistening", "electronic", "experimental", "folk", "funk", "hiphop", "house", "indie",
    "instrumentalpop", "jazz", "lounge", "metal", "newage", "orchestral", "pop", "popfolk",
    "poprock", "reggae", "rock", "soundtrack", "techno", "trance", "triphop", "world",
    "acousticguitar", "bass", "computer", "drummachine", "drums", "electricguitar",
    "electricpiano", "guitar", "keyboard", "piano", "strings", "synthesizer", "violin", "voice",
    "emotional", "energetic", "film", "happy", "relaxing",
)
"""Tags of MTG-Jamendo in the order of Won et al.: genres, instruments, moods, each by name."""
