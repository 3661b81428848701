"""torchaudio's transforms beside a CPU build of torch.

torchaudio 2.11 loads a compiled extension at import, which wants CUDA libraries and raises ``OSError``
next to a CPU-only torch. The transforms used here are pure Python: on that error a stub takes the
extension's place. On CUDA and macOS builds the first import succeeds and nothing is changed.
"""

import sys
import types

try:
    import torchaudio
except OSError:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        del sys.modules[name]
    stub = types.ModuleType("torchaudio._extension")
    stub._IS_TORCHAUDIO_EXT_AVAILABLE = stub._IS_RIR_AVAILABLE = stub._IS_ALIGN_AVAILABLE = False
    stub.fail_if_no_align = lambda function: function
    stub._check_cuda_version = lambda: None
    sys.modules["torchaudio._extension"] = stub
    import torchaudio

__all__ = ["torchaudio"]
