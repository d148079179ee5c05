"""What inference costs: FLOPs, memory traffic, seconds, joules, money, each by a stated method.

Lives here: cards of models, devices, prices and human baselines, and the formulas over them. Not
here: measuring anything (`isocost.telemetry`) and the tables built from it
(`isocost.tables.costs.costs`).
"""

from isocost.costs.attribution import (
    EnergyModel,
    energy_method,
    fit_energy_model,
    share_by_time,
    share_by_tokens,
    share_by_weight,
)
from isocost.costs.book import CardBook, load_book
from isocost.costs.flops import FLOPS_METHOD, decode_flops, forward_flops, prefill_flops
from isocost.costs.kinetics import kinetics_eflops, kinetics_shared_eflops, kinetics_terms
from isocost.costs.model_cards import ModelCard
from isocost.costs.money import device_usd, per_correct, token_usd
from isocost.costs.other_cards import DeviceCard, HumanBaseline, PriceCard
from isocost.costs.pass_costs import (
    CostOfPass,
    cost_of_pass,
    cost_of_pass_counts,
    group_essentialness,
)
from isocost.costs.per_watt import Intelligence, intelligence, local_coverage
from isocost.costs.requests import (
    correct_per_second,
    latency_summary,
    requests_per_second,
    speedup_at_accuracy,
)
from isocost.costs.roofline import (
    critical_batch,
    decode_step_seconds,
    energy_cap_j,
    kv_traffic_bytes,
    mbu,
    mfu,
    prefill_seconds,
    request_bytes,
    request_seconds,
    weight_traffic_bytes,
)
from isocost.costs.runtime import (
    RuntimeModel,
    fit_runtime_model,
    helm_idealized_runtime,
    idealized_energy_j,
    idealized_usd,
)
from isocost.costs.speculative import (
    estimate_acceptance,
    goodput,
    speculative_speedup,
    target_efficiency,
    tokens_per_step,
)
from isocost.costs.verification import fit_power_law, verification_budget

__all__ = [
    "FLOPS_METHOD",
    "CardBook",
    "CostOfPass",
    "DeviceCard",
    "EnergyModel",
    "HumanBaseline",
    "Intelligence",
    "ModelCard",
    "PriceCard",
    "RuntimeModel",
    "correct_per_second",
    "cost_of_pass",
    "cost_of_pass_counts",
    "critical_batch",
    "decode_flops",
    "decode_step_seconds",
    "device_usd",
    "energy_cap_j",
    "energy_method",
    "estimate_acceptance",
    "fit_energy_model",
    "fit_power_law",
    "fit_runtime_model",
    "forward_flops",
    "goodput",
    "group_essentialness",
    "helm_idealized_runtime",
    "idealized_energy_j",
    "idealized_usd",
    "intelligence",
    "kinetics_eflops",
    "kinetics_shared_eflops",
    "kinetics_terms",
    "kv_traffic_bytes",
    "latency_summary",
    "load_book",
    "local_coverage",
    "mbu",
    "mfu",
    "per_correct",
    "prefill_flops",
    "prefill_seconds",
    "request_bytes",
    "request_seconds",
    "requests_per_second",
    "share_by_time",
    "share_by_tokens",
    "share_by_weight",
    "speculative_speedup",
    "speedup_at_accuracy",
    "target_efficiency",
    "token_usd",
    "tokens_per_step",
    "verification_budget",
    "weight_traffic_bytes",
]
