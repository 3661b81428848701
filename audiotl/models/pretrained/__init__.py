"""Networks that others trained and published, with their front ends: raw sound to taps and tags.

===================  ===============================================  ==========
name                 what it is                                       trained on
===================  ===============================================  ==========
``choi2017``         the ConvNet of Choi et al. 2017; batch by batch  MSD
``choi2017-keras2``  its authors' later release; clip by clip         MSD
``musicnn-mtt``      musicnn (Pons and Serra 2019)                    MTT
``musicnn-msd``      the same                                         MSD
===================  ===============================================  ==========

MSD is the Million Song Dataset with Last.fm tags, MTT is MagnaTagATune; each gives fifty tags.
"""

from __future__ import annotations

from audiotl.models.pretrained.network import PublishedNetwork
from audiotl.models.pretrained.registry import NETWORKS, available, load, top_tags
from audiotl.models.pretrained.reproduction import correlate_with_published

__all__ = ["NETWORKS", "PublishedNetwork", "available", "correlate_with_published", "load",
           "top_tags"]
