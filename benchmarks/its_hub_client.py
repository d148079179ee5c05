"""A client made of the library its_hub: ``python its_hub_client.py ALGORITHM BUDGET < QUESTION``.

Runs in an environment of its own (``foreign_environment``) and imports nothing of Isocost. Lives
here: how its_hub's algorithms are called as anybody would call them, with scorers that need no
model. Not here: the meter, of which it knows nothing. ``varied`` in place of an algorithm takes
another one for each sample.
"""

import asyncio
import json
import re
import sys

from its_hub import BestOfN, OpenAICompatibleLanguageModel, SelfConsistency, StepGeneration
from its_hub.core.algorithms.beam_search import BeamSearch
from its_hub.core.algorithms.particle_gibbs import ParticleFiltering

VARIED = ("self_consistency", "best_of_n", "beam_search", "particle_filtering")


def last_number(text):
    return (re.findall(r"-?\d+", text) or [""])[-1]


class Shortest:
    """Scores outcomes: the shorter the better."""

    async def ascore(self, messages, orchestrator=None, **_):
        """See its_hub."""
        texts = [batch[-1].content for batch in messages]
        return [-float(len(text)) for text in texts]


class Digits:
    """Scores steps: the more digits the better."""

    async def ascore(self, prompt, steps):
        """See its_hub."""
        texts = [steps] if isinstance(steps, str) else steps
        found = [0.05 + min(0.9, len(re.findall(r"\d", text)) / 20) for text in texts]
        return found[0] if isinstance(steps, str) else found


def algorithm(name):
    steps = StepGeneration(max_steps=2, step_token="\n", temperature=0.8)
    made = {
        "self_consistency": lambda: SelfConsistency(last_number),
        "best_of_n": lambda: BestOfN(Shortest()),
        "beam_search": lambda: BeamSearch(steps, Digits(), beam_width=2),
        "particle_filtering": lambda: ParticleFiltering(steps, Digits()),
    }
    return made[name]()


async def main():
    asked = json.load(sys.stdin)
    name, budget = sys.argv[1], int(sys.argv[2])
    problem = asked["problem"]
    if name == "varied":
        name = VARIED[problem["sample_index"] % len(VARIED)]
    model = OpenAICompatibleLanguageModel(
        asked["base_url"],
        "none",
        asked["model"],
        temperature=problem["temperature"],
        max_tokens=problem["max_tokens"],
    )
    said = await algorithm(name).ainfer(
        model, problem["messages"][-1]["content"], budget, return_response_only=True
    )
    await model.close()
    print(said["content"])


if __name__ == "__main__":
    asyncio.run(main())
