"""`make lab`: JupyterLab starts on chapter 00, gives the notebook over its REST API and runs it in a kernel."""

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
import uuid

import pytest
import websocket
from conftest import ROOT

TOKEN = "a-token-of-this-test"


@pytest.fixture
def lab(tmp_path):
    """The server of the Makefile's `lab`, on a free port and a copy of the notebooks: its address."""
    recipe = re.search(r"-m jupyter lab (.*)", (ROOT / "Makefile").read_text()).group(1).split()
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython")} | {
        f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    log = open(tmp_path / "log.txt", "w")  # noqa: SIM115
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter", "lab", *recipe, "--no-browser", "--allow-root", "--ip=127.0.0.1",
         f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"],
        cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 500
        while True:
            assert server.poll() is None and time.monotonic() < deadline, (tmp_path / "log.txt").read_text()[-3000:]
            with contextlib.suppress(OSError):
                ask(f"http://127.0.0.1:{port}/api/status")
                break
            time.sleep(0.3)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(60)
        server.kill()
        log.close()


def ask(url: str, content: dict | None = None):
    request = urllib.request.Request(url, headers={"Authorization": f"token {TOKEN}"},
                                     data=None if content is None else json.dumps(content).encode())
    return urllib.request.urlopen(request, timeout=120)


@pytest.mark.timeout(1800)
def test_jupyterlab_opens_chapter_00_and_runs_it(lab):
    with ask(f"{lab}/") as page:
        assert page.url.startswith(f"{lab}/lab/tree/00_start_here.ipynb") and b"JupyterLab" in page.read()
    with ask(f"{lab}/api/contents/00_start_here.ipynb") as answer:
        notebook = json.load(answer)["content"]
    with ask(f"{lab}/api/contents/00_start_here.py?type=notebook") as answer:
        script = json.load(answer)["content"]
    code = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code == [cell["source"] for cell in script["cells"] if cell["cell_type"] == "code"], "the pair opens as one"
    session = {"path": "00_start_here.ipynb", "name": "", "type": "notebook", "kernel": {"name": "python3"}}
    with ask(f"{lab}/api/sessions", session) as answer:
        kernel = json.load(answer)["kernel"]["id"]
    channel = websocket.create_connection(f"{lab.replace('http', 'ws')}/api/kernels/{kernel}/channels?token={TOKEN}",
                                          timeout=900)
    shown = []
    for i, cell in enumerate(code):
        cell = cell.replace('profile = "quick"', 'profile = "smoke"')
        shown += run(channel, cell, f"cell {i}")
    channel.close()
    assert sum("image/png" in data for data in shown) >= 3
    assert any("In one sentence." in data.get("text/markdown", "") for data in shown)


def text_of(message: str | bytes) -> str | bytes:
    """The JSON of a message; one that brings a picture has it first, after the count and the offsets of its parts."""
    if isinstance(message, str):
        return message
    first, end = (int.from_bytes(message[i:i + 4], "big") for i in (4, 8))
    return message[first:end]


def run(channel, code: str, where: str) -> list[dict]:
    """Run one cell over the kernel's websocket; what it showed, by MIME type."""
    mine, shown = uuid.uuid4().hex, []
    header = {"msg_id": mine, "msg_type": "execute_request", "username": "", "session": mine, "version": "5.3"}
    channel.send(json.dumps({"header": header, "parent_header": {}, "metadata": {}, "channel": "shell", "buffers": [],
                             "content": {"code": code, "silent": False, "store_history": False, "allow_stdin": False,
                                         "user_expressions": {}, "stop_on_error": True}}))
    while True:
        message = json.loads(text_of(channel.recv()))
        if message["parent_header"].get("msg_id") != mine:
            continue
        kind, content = message["msg_type"], message["content"]
        assert kind != "error", f"{where}: " + "\n".join(content["traceback"])
        if kind in ("display_data", "execute_result"):
            shown.append(content["data"])
        if kind == "status" and content["execution_state"] == "idle":
            return shown
