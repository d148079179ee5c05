"""What inference costs: FLOPs, memory traffic, seconds, joules, money, each by a stated method.

Lives here: cards of models, devices, prices and human baselines, and the formulas over them. Not here: measuring anything
(`isocost.telemetry`) and the tables built from it (`isocost.tables.costs`).
"""

from isocost.costs.book import CardBook, load_book
from isocost.costs.flops import FLOPS_METHOD, decode_flops, forward_flops, prefill_flops
from isocost.costs.model_cards import ModelCard
from isocost.costs.other_cards import DeviceCard, HumanBaseline, PriceCard

__all__ = [
    "FLOPS_METHOD",
    "CardBook",
    "DeviceCard",
    "HumanBaseline",
    "ModelCard",
    "PriceCard",
    "decode_flops",
    "forward_flops",
    "load_book",
    "prefill_flops",
]
