"""Networks that others trained and published, each with its own front end, from raw sound to taps and tags.

===================  ===================================================  ==========  ============================
name                 what it is                                           trained on  weights under the data root
===================  ===================================================  ==========  ============================
``choi2017``         the ConvNet behind Choi et al. 2017; batch by batch  MSD         ``choi2017/weights_transfer``
``choi2017-keras2``  its authors' later release; clip by clip             MSD         ``choi2017/keras2_model``
``musicnn-mtt``      musicnn (Pons and Serra 2019)                        MTT         ``musicnn``
``musicnn-msd``      the same                                             MSD         ``musicnn``
``vgg-mtt``          its VGG companion                                    MTT         ``musicnn``
``vgg-msd``          the same                                             MSD         ``musicnn``
===================  ===================================================  ==========  ============================

MSD is the Million Song Dataset with Last.fm tags, MTT is MagnaTagATune; each gives fifty tags.
"""

from __future__ import annotations

from audiotl.models.pretrained.network import PublishedNetwork
from audiotl.models.pretrained.registry import NETWORKS, available, load, top_tags
from audiotl.models.pretrained.reproduction import correlate_with_published

__all__ = ["NETWORKS", "PublishedNetwork", "available", "correlate_with_published", "load",
           "top_tags"]
