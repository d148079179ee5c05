"""Keys and passwords.

Refused in a sweep by file, line and key, never shown, and struck out of what is reported.
"""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.credentials import redacted, refuse_credentials, url_credential
from isocost.errors import IsocostError
from isocost.sweep.loader import sweep_from_text

SWEEP = """sweep: s
models: {{name: m, path: m}}
engine: {{engine: openai, options: {options}}}
tasks: {{name: t, source: reasoning_gym, dataset: basic_arithmetic, n_problems: 2, verifier: numeric}}
prompts: {{name: p, template: "{{question}}"}}
grid: {{temperature: 0.7, max_tokens: 64}}
samples_per_problem: 2
"""
SECRETS = st.text(alphabet="abcXYZ019-_.+/=", min_size=8, max_size=40)


@pytest.mark.parametrize(
    "options",
    [
        '{base_url: "http://user:HIDDEN12@h/v1"}',
        '{base_url: "http://HIDDEN12@h/v1"}',
        '{base_url: "https://h/v1?api_key=HIDDEN12"}',
        '{base_url: "https://h/v1?x=1&Key=HIDDEN12"}',
        '{base_url: "https://h/v1", extra_body: {nested: [{api_key: HIDDEN12}]}}',
        '{base_url: "https://h/v1", extra_body: {headers: {Authorization: Bearer HIDDEN12}}}',
        '{base_url: "https://h/v1", api_key_variable: sk-HIDDEN12}',
        '{base_url: "http://user:HIDDEN12@h/v1", max_num: [}',
    ],
)
def test_a_sweep_that_holds_a_credential_is_refused_and_it_is_not_shown(options):
    with pytest.raises(IsocostError) as refused:
        sweep_from_text(SWEEP.format(options=options), "s.yaml")
    if not options.endswith("[}"):
        assert "s.yaml line 3: engine.options" in str(
            refused.value
        ) and "environment variable" in str(refused.value)
    assert "HIDDEN12" not in str(refused.value)


def test_what_only_sounds_like_one_is_taken():
    options = '{base_url: "http://h/v1", api_key_variable: KEY, extra_body: {max_tokens: 5, stop_token_ids: [1], top_key: a}}'
    assert (
        sweep_from_text(SWEEP.format(options=options)).engine.options["api_key_variable"] == "KEY"
    )
    assert [
        url_credential(u)
        for u in ("http://h/v1", "s3://bucket/a", "http://h/?api-version=1", "no url: a@b?key=1")
    ] == [None] * 4


def test_neither_depth_nor_aliases_cost_more_than_the_text():
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    bomb: list = ["http://u:p@h"]
    for _ in range(60):
        bomb = [bomb, bomb]
    assert (
        list(refuse_credentials({"a": deep}, remedy="")) == []
        and len(list(refuse_credentials(bomb, remedy=""))) == 1
    )


@given(SECRETS, st.text(max_size=30), st.text(max_size=30))
def test_a_key_is_struck_out_in_every_form_in_which_it_is_echoed(secret, before, after):
    for form in (secret, quote(secret, safe=""), json.dumps(secret)):
        assert secret not in redacted(f"{before} {form} {after}".replace(secret, form), [secret])


@given(SECRETS)
def test_a_credential_is_struck_out_by_its_place_whatever_it_is(secret):
    secret = secret.replace("/", "_")
    texts = [
        f"GET https://me:{secret}@h/v1 failed",
        f"at https://h/v1?api_key={secret}&x=1",
        f"bad Authorization: Bearer {secret}.",
    ]
    assert not any(secret in redacted(text) for text in texts)


def test_a_placeholder_is_no_secret():
    assert redacted("the list is EMPTY", ["EMPTY", ""]) == "the list is EMPTY"
