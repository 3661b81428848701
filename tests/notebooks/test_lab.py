"""`make lab`: JupyterLab starts on chapter 00, gives it over its REST API, runs it in a kernel."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import jupytext
import pytest
from conftest import ROOT
from jupyter_client import BlockingKernelClient

TOKEN = "a-token-of-this-test"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The server of the Makefile's `lab`, on a free port, and its copy of the notebooks."""
    tmp_path = tmp_path_factory.mktemp("lab")
    makefile = (ROOT / "Makefile").read_text()
    recipe = re.search(r"-m jupyter lab (.*)", makefile).group(1).split()
    for folder in (".jupyter", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder,
                        ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython")}
    environment |= {f"JUPYTER_{n}_DIR": str(tmp_path / n) for n in ("CONFIG", "DATA", "RUNTIME")}
    log = open(tmp_path / "log.txt", "w")  # noqa: SIM115
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", *recipe, "--no-browser", "--ip=127.0.0.1",
         f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"],
        cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 500
        while True:
            said = (tmp_path / "log.txt").read_text()[-3000:]
            assert server.poll() is None and time.monotonic() < deadline, said
            with contextlib.suppress(OSError):
                ask(f"http://127.0.0.1:{port}/api/status")
                break
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}", tmp_path / "notebooks"
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(60)
        server.kill()
        log.close()


def ask(url: str, content: dict | None = None, method: str | None = None):
    request = urllib.request.Request(
        url, headers={"Authorization": f"token {TOKEN}"}, method=method,
        data=None if content is None else json.dumps(content).encode())
    return urllib.request.urlopen(request, timeout=120)


@pytest.mark.timeout(1800)
def test_jupyterlab_opens_chapter_00_and_runs_it(lab):
    lab, folder = lab
    with ask(f"{lab}/") as page:
        assert page.url.startswith(f"{lab}/lab/tree/00_start_here.ipynb")
        assert b"JupyterLab" in page.read()
    with ask(f"{lab}/api/contents/00_start_here.ipynb") as answer:
        notebook = json.load(answer)["content"]
    with ask(f"{lab}/api/contents/00_start_here.py?type=notebook") as answer:
        script = json.load(answer)["content"]
    code, other = ([cell["source"] for cell in content["cells"] if cell["cell_type"] == "code"]
                   for content in (notebook, script))
    assert code == other, "the pair opens as one"
    session = {"path": "00_start_here.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
    with ask(f"{lab}/api/sessions", session) as answer:
        kernel = json.load(answer)["kernel"]["id"]
    client = BlockingKernelClient()
    client.load_connection_file(str(folder.parent / "RUNTIME" / f"kernel-{kernel}.json"))
    client.start_channels()
    client.wait_for_ready(300)  # a message that comes before is lost, and would be waited for
    shown = []
    for cell in code:
        reply = client.execute_interactive(
            cell.replace('size = "quick"', 'size = "smoke"'), timeout=900,
            output_hook=lambda message: shown.append(message["content"].get("data", {})))
        assert reply["content"]["status"] == "ok", f"{cell}: {reply['content']}"
    client.stop_channels()
    assert sum("image/png" in data for data in shown) >= 3
    assert any("application/vnd.jupyter.widget-view+json" in data for data in shown)


def test_opening_and_saving_leaves_no_trace_of_the_machine(lab):
    lab, folder = lab
    pair, saved = [folder / f"00_start_here.{suffix}" for suffix in ("py", "ipynb")], []
    for machine in ("this", "another"):
        with ask(f"{lab}/api/contents/00_start_here.ipynb") as answer:
            content = json.load(answer)["content"]
        content["metadata"]["kernelspec"] = {"display_name": f"Python 3 ({machine})",
                                             "language": "python", "name": "python3"}
        content["metadata"]["language_info"] = {"name": "python", "version": f"3.{len(machine)}"}
        body = {"type": "notebook", "format": "json", "content": content}
        ask(f"{lab}/api/contents/00_start_here.ipynb", body, "PUT").close()
        saved.append([path.read_text() for path in pair])
    assert saved[0] == saved[1] and "(this)" not in "".join(saved[0])


def test_set_up_cells_are_folded():
    for path in (ROOT / "notebooks").glob("[0-9]*.py"):
        for cell in jupytext.read(path).cells:
            if "hide-input" in cell.metadata.get("tags", []):
                assert cell.metadata.get("jupyter") == {"source_hidden": True}, path.name
