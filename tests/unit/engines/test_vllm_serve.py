"""The server that a session starts: its command line, its start and its end."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from isocost.engines import vllm_serve
from isocost.engines.protocol import EngineSettings, Request
from isocost.engines.vllm_serve import VllmServeEngine
from isocost.errors import IsocostError

STUB = """
import os, subprocess, sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from benchmarks.scripted_server import Scripted

class Renamed(Scripted):
    async def models(self, _):
        return JSONResponse({"data": [{"id": "tiny", "max_model_len": 256}]})

async def plain(request):
    open(sys.argv[2], "a").write(request.url.path + "\\n")
    return JSONResponse({"version": "9.9"})

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99) #" + sys.argv[2]])
server = Renamed()
routes = [Route(path, plain, methods=["GET", "POST"])
          for path in ("/health", "/version", "/reset_prefix_cache")]
routes += [Route("/v1/models", server.models),
           Route("/v1/chat/completions", server.answer, methods=["POST"])]
uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
"""


def settings(folder: Path | str = "none", **changes: object) -> EngineSettings:
    given = {
        "model_path": str(folder), "model_name": "tiny", "dtype": "float32", "quantization": None,
        "revision": None, "seed": 3, "max_model_len": 256, "kv_cache_bytes": 2**26,
        "max_num_seqs": 4, "max_num_batched_tokens": 512, "block_size": None,
        "enable_prefix_caching": False, "enforce_eager": True, "logprobs_k": 25, "options": {},
    }  # fmt: skip
    return EngineSettings(**(given | changes))


def test_the_settings_of_a_session_are_the_servers_command_line():
    options = {
        "tensor_parallel_size": 2,
        "serve_args": {
            "tool_call_parser": "hermes",
            "enable_auto_tool_choice": True,
            "x": {"a": 1},
        },
        "start_s": 5,
    }
    words = vllm_serve.arguments(settings(), options, 8001)
    text = " ".join(words)
    for part in (
        "--host 127.0.0.1 --port 8001 --served-model-name tiny --dtype float32 --seed 3",
        "--max-model-len 256 --kv-cache-memory-bytes 67108864 --max-num-seqs 4",
        "--max-num-batched-tokens 512 --no-enable-prefix-caching --enforce-eager",
        "--max-logprobs 25 --generation-config vllm --enable-prompt-tokens-details --tensor-parallel-size 2",
        '--tool-call-parser hermes --enable-auto-tool-choice --x {"a": 1}',
    ):
        assert part in text
    assert "quantization" not in text and "block-size" not in text and "start" not in text


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"serve_args": {"port": 1}}, "port is set by the session itself"),
        ({"serve_args": {"max-model-len": 1}}, "max-model-len is set by the session itself"),
        ({"serve_args": {"quantization": "fp8"}}, "quantization is set by the session itself"),
        ({"serve_args": {"a b": 1}}, "is not an option with a value"),
        ({"serve_arg": {}}, "has no option 'serve_arg'"),
        ({"start_s": "long"}, "must be int or float, is str"),
    ],
)
def test_options_that_cannot_be_passed_on_are_refused(options, what):
    with pytest.raises(IsocostError, match=what):
        VllmServeEngine(settings(options=options))


@pytest.mark.slow
def test_a_server_that_does_not_start_says_why(tmp_path):
    engine = VllmServeEngine(settings(tmp_path / "missing"))
    with pytest.raises(
        IsocostError, match=r"exit code 2: error: .*missing does not exist"
    ) as error:
        engine.start()
    assert "vLLM's own" in str(error.value)
    engine.close()


@pytest.mark.slow
def test_a_server_is_used_and_ended_with_all_its_processes(tmp_path, monkeypatch):
    noted = tmp_path / "noted"
    monkeypatch.setattr(
        vllm_serve,
        "command",
        lambda *given: [sys.executable, "-c", STUB, str(given[2]), str(noted)],
    )
    (tmp_path / "config.json").write_text("{}")
    engine = VllmServeEngine(settings(tmp_path, logprobs_k=0))
    engine.start()
    try:
        address = engine.address()
        assert (address.model, address.context) == ("tiny", 256)
        assert address.url.startswith("http://127.0.0.1:")
        engine.settle()
        assert noted.read_text().splitlines()[0] == "/health"
        assert noted.read_text().splitlines()[-1] == "/reset_prefix_cache"
        described = engine.describe()
        assert described["resolved"]["model"]["max_model_len"] == 256
        assert described["resolved"]["model"]["dtype"] == "float32"
        messages = ({"role": "user", "content": "1 + 2"},)
        engine.add(Request("a:0", messages, 0.7, 1.0, 0, 0.0, 9, None, "p", "h", 0))
        done = []
        while not done:
            done = engine.step()
        assert done[0].finish_reason == "stop" and done[0].text.startswith("The answer is")
        assert engine.unfinished() == 0
    finally:
        engine.close()
    time.sleep(0.2)
    left = [p for p in Path("/proc").glob("[0-9]*") if _mentions(p, str(noted))]
    assert left == []


def _mentions(process: Path, text: str) -> bool:
    try:
        return text in (process / "cmdline").read_bytes().decode()
    except OSError:
        return False
