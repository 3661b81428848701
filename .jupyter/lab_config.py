# How `make lab` starts JupyterLab: on chapter 00, in a container as root too, and so that opening
# and saving a notebook leaves no trace of this machine in it.
import os
from pathlib import Path


def without_machine(model, **about):
    if model["type"] == "notebook" and model["content"]:
        metadata = model["content"]["metadata"]
        names = {"display_name": "Python 3", "language": "python", "name": "python3"}
        metadata["kernelspec"] = names
        metadata.pop("language_info", None)


c = get_config()  # noqa: F821
c.ServerApp.root_dir = str(Path(__file__).resolve().parents[1] / "notebooks")
c.ServerApp.allow_root = os.name != "nt" and os.getuid() == 0
c.LabApp.default_url = "/lab/tree/00_start_here.ipynb"
c.FileContentsManager.pre_save_hook = without_machine
