"""What tells one network from another."""

import hashlib

from torch import nn


def weights_key(model: nn.Module) -> str:
    """A digest of the network's class, settings and weights: equal networks give equal keys."""
    digest = hashlib.sha256(repr((type(model).__name__, getattr(model, "settings", ""))).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:20]
