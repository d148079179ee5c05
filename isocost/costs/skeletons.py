"""The cards to fill in, printed by every error about a missing card.

Lives here: YAML text with one line per field. Not here: the cards themselves.
"""

from __future__ import annotations


def model_skeleton(name: str) -> str:
    """The model card to fill in, as YAML for a file ``models.yaml``."""
    return f"""models:
  - name: {name}
    source:                 # link or file the numbers come from
    parameters_total:       # all weights, tied embeddings once
    parameters_active:      # weights one token uses; = parameters_total unless a mixture of experts
    layers:
    hidden_size:
    query_heads:
    kv_heads:
    head_size:
    vocabulary:
    is_embedding_tied:      # true or false
    bytes_per_weight:       # 2 for bfloat16
    bytes_per_kv_element:   # 2 for bfloat16
    # mixture of experts only:
    # experts_total:
    # experts_active:
    # parameters_experts:   # weights in all routed experts of all layers"""


def device_skeleton(name: str) -> str:
    """The device card to fill in, as YAML for a file ``devices.yaml``."""
    return f"""devices:
  - name: {name}
    source:                     # link to the data sheet
    aliases: []                 # names the driver reports
    peak_flops_per_s:           # dense (not sparse) peaks; leave a format out when unknown
      bfloat16:
    bandwidth_bytes_per_s:      # null when unknown
    memory_bytes:               # null when unknown
    power_limit_w:              # null when unknown"""


def price_skeleton(name: str) -> str:
    """The price card to fill in, as YAML for a file ``prices.yaml``."""
    return f"""prices:
  - name: {name}
    source:                       # link
    as_of:                        # date read, YYYY-MM-DD
    usd_per_million_input_tokens:         # null where not sold by the token
    usd_per_million_cached_input_tokens:  # null = cached tokens cost as much as others
    usd_per_million_output_tokens:
    usd_per_device_hour:                  # null where not sold by the hour
    device:                               # device card whose hour it is
    model:                                # model whose tokens these are, as the sweep names it
    provider:                             # host of the service that asks it, if several sell it"""


def baseline_skeleton(task: str) -> str:
    """The human baseline to fill in, as YAML for a file ``baselines.yaml``."""
    return f"""baselines:
  - task: {task}
    usd_per_problem:   # what an expert is paid for one correct answer
    source:"""
