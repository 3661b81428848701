"""Networks that others trained and published, with their front ends: raw sound to taps and tags.

=========================  ============================================  =========================
name                      what it is                                   what it heard
=========================  ============================================  =========================
``choi2017``, ``-keras2``  the ConvNet of Choi et al. 2017              music (MSD)
``musicnn-mtt``, ``-msd``  musicnn (Pons and Serra 2019)                music (MTT, MSD)
``fcn5-msd`` and two more  FCN of Won et al. 2020, one architecture     music (MSD, Jamendo, MTT)
``yamnet``                 a MobileNet (Plakal and Ellis 2019)          general sound (AudioSet)
``crnn-sre`` and five      CRNN of Dinkel et al. 2021                   speech, or general sound
``speech_embedding``       convolutions (Lin et al. 2020)               spoken keywords
``whisper-tiny-en``        encoder (Radford et al. 2022)                speech
``silero-vad``             convolutions and LSTM                        speech or not
``resemblyzer``            LSTM (Wan et al. 2018)                       speakers
``crepe-tiny``             convolutions (Kim et al. 2018)               pitch of music and voice
``aisfx``                  convolutions (Ma and Lerch 2022)             sound effects
=========================  ============================================  =========================

`table` has them all: corpus, size, licence, taps, what happens to short and long clips, and how to
get the weights.
"""

from audiotl.models.pretrained.network import PublishedNetwork
from audiotl.models.pretrained.registry import (
    NETWORKS,
    available,
    card,
    fetch,
    load,
    table,
    top_tags,
)
from audiotl.models.pretrained.reproduction import correlate_with_published

__all__ = ["NETWORKS", "PublishedNetwork", "available", "card", "correlate_with_published", "fetch",
           "load", "table", "top_tags"]
