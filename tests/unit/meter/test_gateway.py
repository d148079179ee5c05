"""What passes through the gateway, and what does not."""

from __future__ import annotations

import json
import socket
import threading
import time

import httpx
import openai
import pytest

from benchmarks.scripted_server import MODEL, serving
from isocost.engines.protocol import Address
from isocost.meter import gateway as gateways
from isocost.meter.account import Limits
from isocost.meter.exchange import CHAT, Completions
from isocost.meter.gateway import Gateway

pytestmark = pytest.mark.slow  # servers start, and are waited for

HI = [{"role": "user", "content": "What is 1 + 2?"}]
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


@pytest.fixture
def account(gateway):
    return gateway.accounts.open(Limits(1000, 10**6))


@pytest.fixture
def client(gateway, account):
    with openai.OpenAI(base_url=gateway.address(account), api_key="none", max_retries=0) as client:
        yield client


def read(account, gateway):
    """The completions of everything that has passed."""
    exchanges = gateway.accounts.close(account)
    return [c for e in exchanges for c in Completions(e, logprobs_k=0, context=None).found]


def test_the_openai_package_is_metered_without_a_line_of_code(client, account, gateway, server):
    said = client.chat.completions.create(model=MODEL, messages=HI)
    several = client.chat.completions.create(model=MODEL, messages=HI, n=4, temperature=1.0)
    tooled = client.chat.completions.create(model=MODEL, messages=HI, tools=[TOOL])
    older = client.completions.create(model=MODEL, prompt="1 + 2 =", max_tokens=3)
    batch = client.completions.create(model=MODEL, prompt=["1 + 2 =", "2 + 2 ="], n=2)
    form = {"type": "json_object"}
    shaped = client.chat.completions.create(model=MODEL, messages=HI, response_format=form)
    assert [m.id for m in client.models.list()] == [MODEL]
    assert server.requests[-1]["response_format"] == form and shaped.choices
    assert set(server.keys) == {"Bearer secret"}, "the client has no key, the meter adds it"
    found = read(account, gateway)
    texts = [
        said.choices[0].message.content,
        *(c.message.content for c in several.choices),
        '{"name": "add", "arguments": "{\\"a\\": 1}"}',
        older.choices[0].text,
        *(c.text for c in batch.choices),
        shaped.choices[0].message.content,
    ]
    assert [c.text for c in found] == texts
    assert tooled.choices[0].message.tool_calls[0].function.name == "add"
    assert [c.finish_reason for c in found].count("length") == 1
    assert found[5].finish_reason == "stop" and found[5].stop_reason == "tool_calls"
    assert sum(c.output_tokens for c in found) == server.counts["output"]
    whole = said.usage.prompt_tokens
    assert [c.prompt_tokens for c in found[:5]] == [whole] * 5
    assert found[0].cached_tokens == said.usage.prompt_tokens_details.cached_tokens
    # Both prompts of the batch together have the server's count.
    assert found[7].prompt_tokens + found[9].prompt_tokens == batch.usage.prompt_tokens
    for c in found:
        assert c.queued_s <= c.scheduled_s <= c.first_token_s <= c.last_token_s


@pytest.mark.parametrize("asks_for_usage", [True, False])
@pytest.mark.parametrize("more", [{}, {"n": 3}, {"tools": [TOOL]}])
def test_streams_are_metered_with_the_servers_usage(
    client, account, gateway, server, asks_for_usage, more
):
    server.token_s = 0.1  # longer than a first connection takes on a busy machine
    options = {"stream_options": {"include_usage": True}} if asks_for_usage else {}
    begun = time.monotonic()
    stream = client.chat.completions.create(
        model=MODEL, messages=HI, stream=True, **options, **more
    )
    moments, events = [], []
    for event in stream:
        moments.append(time.monotonic())
        events.append(event)
    assert moments[0] - begun < (moments[-1] - begun) / 2, "pieces pass as they come"
    assert any(e.usage for e in events) == asks_for_usage
    found = read(account, gateway)
    assert len(found) == more.get("n", 1)
    assert sum(c.output_tokens for c in found) == server.counts["output"]
    assert found[0].prompt_tokens == server.counts["prompt"]
    assert found[0].cached_tokens == server.counts["cached"]
    for index, c in enumerate(found):
        said = [
            choice.delta.content or ""
            for event in events
            for choice in event.choices
            if choice.index == index
        ]
        assert c.text == "".join(said) or "tools" in more
        assert begun < c.first_token_s <= c.last_token_s
        assert c.first_token_s < c.last_token_s or "tools" in more
    assert account.exchanges[0].asked.hides_usage != asks_for_usage


@pytest.mark.parametrize(
    "body",
    [
        {"messages": HI},
        {"messages": HI, "n": 4, "temperature": 0.5, "seed": 3},
        {"messages": HI, "stream": True, "stream_options": {"include_usage": True}},
        {"messages": HI, "stream": True},
        {"messages": HI, "tools": [TOOL], "tool_choice": "auto"},
    ],
)
def test_the_bytes_of_an_answer_are_unchanged(body, gateway, account, server):
    data = json.dumps({"model": MODEL, **body}, indent=1).encode()
    passed = httpx.post(f"{gateway.address(account)}/{CHAT}", content=data)
    sent = server.bodies[-1]
    if body.get("stream") and "stream_options" not in body:
        events = sent.split(b"\n\n")
        assert b'"usage"' in sent
        sent = b"\n\n".join(event for event in events if b'"usage"' not in event)
    assert passed.content == sent
    assert passed.headers["content-type"].startswith(
        "text/event-stream" if body.get("stream") else "application/json"
    )


def test_only_the_model_and_the_samples_under_way_are_served(gateway, account, server):
    def post(url, content=b"{}"):
        return httpx.post(url, content=content)

    base = gateway.address(account)
    ended = gateway.accounts.open(Limits(1, 1))
    gateway.accounts.close(ended)
    good = json.dumps({"model": MODEL, "messages": HI}).encode()
    cases = [
        (f"{gateway.origin}/samples/guessed/v1/{CHAT}", good, 404, "no sample under way"),
        (f"{gateway.address(ended)}/{CHAT}", good, 404, "no sample under way"),
        (f"{gateway.origin}/v1/{CHAT}", good, 404, "no sample under way"),
        (f"{base}/embeddings", good, 404, "/embeddings is not metered"),
        (f"{base}/{CHAT}", good.replace(b"scripted", b"gpt-9"), 404, "'gpt-9' is not metered"),
        (f"{base}/{CHAT}", b"{", 400, "is not JSON"),
        (f"{base}/{CHAT}", b"\xff\xfe{}", 400, "is not JSON"),
        (f"{base}/{CHAT}", b"[1]", 400, "not a JSON object"),
        (f"{base}/{CHAT}", b"[" * 100_000, 400, "nested too deeply"),
        (f"{base}/{CHAT}", b'{"model": "scripted"}', 400, "messages is not a list"),
        (f"{base}/{CHAT}", b'{"model": "scripted", "messages": [1]}', 400, "not an object"),
        (f"{base}/completions", b'{"model": "scripted", "prompt": 1}', 400, "neither a text"),
        (f"{base}/completions", b'{"model": "scripted", "prompt": [{}]}', 400, "neither texts"),
        (f"{base}/{CHAT}", good[:-1] + b', "n": 0}', 400, "n must be"),
        (f"{base}/{CHAT}", good[:-1] + b', "n": 1e9}', 400, "n must be"),
        (f"{base}/{CHAT}", b" " * (gateways.MOST_REQUEST_BYTES + 1), 413, "larger than"),
    ]
    for url, content, status, what in cases:
        answer = post(url, content)
        assert (answer.status_code, what in answer.json()["error"]["message"]) == (status, True), (
            url,
            answer.text,
        )
    assert server.asked == 0
    assert post(f"{base}/{CHAT}", good).status_code == 200
    assert httpx.get(f"{gateway.origin}/samples/guessed/v1/models").status_code == 404


def test_it_listens_on_loopback_unless_asked_otherwise(gateway, server):
    assert gateway.origin.startswith("http://127.0.0.1:")
    port = int(gateway.origin.rpartition(":")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        own = probe.getsockname()[0]
    if own.startswith("127."):
        pytest.skip("this machine has no other address than loopback")
    with pytest.raises(OSError), socket.create_connection((own, port), timeout=1):
        pass
    with Gateway(Address(server.url, MODEL), host="0.0.0.0") as wide:
        port = int(wide.origin.rpartition(":")[2])
        with socket.create_connection((own, port), timeout=1):
            pass


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (500, "HTTP 500: scripted 500"),
        (429, "HTTP 429: scripted 429"),
        ("stall", "the server does not answer: ReadTimeout"),
        ("half", "the answer"),
    ],
)
def test_a_server_that_fails_is_passed_on_and_recorded(
    gateway, account, server, fault, said, stream
):
    server.faults = {1: fault}
    body = {"model": MODEL, "messages": HI, "stream": stream}
    url = f"{gateway.address(account)}/{CHAT}"
    try:
        answer = httpx.post(url, json=body, timeout=20)
        status = answer.status_code
    except httpx.RemoteProtocolError:
        status = None
    assert status == {"stall": 504, "half": None if stream else 200}.get(fault, fault)
    assert httpx.post(url, json=body).status_code == 200
    first, second = read(account, gateway)
    assert (first.finish_reason, first.output_tokens, first.text) == ("error", None, None)
    assert said in first.error
    assert second.finish_reason == "stop" and second.error is None


def test_a_server_that_is_gone_is_said_to_be():
    with serving() as gone:
        address = Address(gone.url, MODEL)
    with Gateway(address) as gateway:
        account = gateway.accounts.open(Limits(9, 9))
        body = {"model": MODEL, "messages": HI}
        answer = httpx.post(f"{gateway.address(account)}/{CHAT}", json=body)
        assert answer.status_code == 502 and gateway.away_s() > 0
        [call] = read(account, gateway)
        assert call.error.startswith("the server does not answer")
        gateway.probe()
        assert gateway.away_s() > 0


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_that_is_not_waited_for_is_broken_off(gateway, account, server, stream):
    server.first_s, server.token_s = 0.2 * stream, 0.5
    body = {"model": MODEL, "messages": HI, "stream": stream}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{gateway.address(account)}/{CHAT}", json=body, timeout=0.3)
    begun = time.monotonic()
    [call] = read(account, gateway)
    assert time.monotonic() - begun < 2
    assert call.finish_reason == "abort" and "did not wait" in call.error


def test_limits_of_a_sample_hold_for_calls_and_for_tokens(gateway, server):
    def ask(account, **more):
        url = f"{gateway.address(account)}/{CHAT}"
        return httpx.post(url, json={"model": MODEL, "messages": HI, **more})

    calls = gateway.accounts.open(Limits(5, 10**6))
    assert [ask(calls, n=n).status_code for n in (2, 2, 2, 1, 1)] == [200, 200, 403, 200, 403]
    assert calls.limit == "call_limit"
    tokens = gateway.accounts.open(Limits(1000, 13))
    assert [ask(tokens).status_code for _ in range(4)] == [200, 200, 200, 403]
    assert tokens.limit == "token_limit" and tokens.limit_since_s is not None
    streamed = gateway.accounts.open(Limits(1000, 1))
    assert [ask(streamed, stream=True).status_code for _ in range(2)] == [200, 403]


def test_many_samples_at_once_are_kept_apart(gateway, server):
    accounts = [gateway.accounts.open(Limits(100, 10**6)) for _ in range(8)]

    def work(number):
        for turn in range(5):
            text = f"What is {number} + {turn}?"
            httpx.post(
                f"{gateway.address(accounts[number])}/{CHAT}",
                json={
                    "model": MODEL,
                    "messages": [{"role": "user", "content": text}],
                    "stream": turn % 2 == 0,
                },
            )

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, account in enumerate(accounts):
        asked = [e.asked.messages[0]["content"] for e in account.exchanges]
        assert asked == [f"What is {number} + {turn}?" for turn in range(5)]
    total = sum(c.output_tokens for a in accounts for c in read(a, gateway))
    assert total == server.counts["output"] == 8 * 5 * 6
