"""Networks that others trained and published, with their front ends: raw sound to taps and tags.

`table` has them all: what each heard, size, licence, taps, what happens to short and long clips,
and how to get the weights.
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
