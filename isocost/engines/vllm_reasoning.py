"""Separating a model's reasoning from its answer with vLLM's reasoning parsers.

Lives here: the names of the parsers, read from vLLM's source without importing it, and `Reasoning`,
which applies one to the answers of an engine in this process. vLLM's server applies it by itself.
Not here: reasoning that is left in the text, which graders skip (``isocost.tasks.thoughts``).
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from isocost.engines.vllm_arguments import vllm_source
from isocost.errors import IsocostError
from isocost.registry import did_you_mean

_FILE = Path("reasoning") / "__init__.py"
_TABLE = "_REASONING_PARSERS_TO_REGISTER"
_HARMONY = "openai_gptoss"


@cache
def known_parsers() -> frozenset[str] | None:
    """Names of vLLM's reasoning parsers; None if vLLM is not installed or has moved them."""
    for tree in vllm_source(_FILE):
        for node in tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(t, ast.Name) and t.id == _TABLE for t in targets):
                    keys = [k.value for k in node.value.keys if isinstance(k, ast.Constant)]
                    return frozenset(k for k in keys if isinstance(k, str)) or None
    return None


def check_parser(name: str | None, options: Mapping[str, Any]) -> None:
    """Reject a reasoning parser that vLLM does not have, if vLLM is installed.

    Args:
        name: the parser; None for none.
        options: further arguments of vLLM; with a plug-in of parsers its names are unknown here.

    Raises:
        IsocostError: with the nearest names, or vLLM would get the parser twice.
    """
    where = "model.reasoning_parser"
    given = {str(key).replace("-", "_") for key in options}
    if "reasoning_parser" in given and name is not None:
        raise IsocostError(
            "is stated twice: also as an argument of vLLM in engine.options",
            where=where,
            remedy="Keep the model's, and remove the argument.",
        )
    known = known_parsers()
    if name is None or known is None or name in known or "reasoning_parser_plugin" in given:
        return
    raise IsocostError(
        f"vLLM has no reasoning parser {name!r}",
        where=where,
        remedy=did_you_mean(name, known, kind="parsers"),
    )


class Reasoning:
    """A reasoning parser with a model's tokenizer.

    Attributes:
        keeps_special_tokens: whether the parser has to see special tokens in the text.
    """

    def __init__(
        self, name: str, tokenizer: Any, template: Mapping[str, Any], begun: Sequence[int]
    ) -> None:
        """Imports vLLM.

        Args:
            name: vLLM's name of the parser.
            tokenizer: the model's.
            template: arguments of the model's chat template.
            begun: tokens with which the chat template begins the model's turn.

        Raises:
            IsocostError: the parser does not work with this tokenizer.
        """
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
        from vllm.parser.parser_manager import ParserManager

        self._tokenizer, self._template = tokenizer, dict(template)
        try:
            self._class: Any = ParserManager.get_parser(
                reasoning_parser_name=name, is_harmony=name == _HARMONY, tokenizer=tokenizer
            )
            asked = ChatCompletionRequest.model_validate({"messages": [], "model": ""})
            parser = self._parser()
            self._request = parser.adjust_request(asked)
            parser.parse("", self._request, model_output_token_ids=[])
            # The template itself may end the reasoning, where it is switched off.
            self._is_over = bool(begun) and name != _HARMONY and parser.is_reasoning_end([*begun])
        except (ValueError, TypeError, RuntimeError, LookupError, NotImplementedError) as error:
            said = next(iter(str(error).splitlines()), type(error).__name__)
            raise IsocostError(
                f"the reasoning parser {name} does not work with this model: {said[:300]}",
                where="model.reasoning_parser",
                remedy="Use the parser that vLLM's documentation names for this model.",
            ) from error
        self.keeps_special_tokens = not self._request.skip_special_tokens

    def _parser(self) -> Any:
        return self._class(self._tokenizer, None, chat_template_kwargs=self._template)

    def _decoded(self, tokens: Sequence[int]) -> str:
        return str(
            self._tokenizer.decode(list(tokens), skip_special_tokens=not self.keeps_special_tokens)
        )

    def separated(
        self, tokens: Sequence[int], ended_text: str | None = None
    ) -> tuple[str | None, str, int]:
        """Reasoning, answer, and the number of tokens before the answer begins.

        Those include the markers of the reasoning; all tokens if there is no answer.

        Args:
            tokens: generated by the model in one turn.
            ended_text: the text as vLLM cut it at a stop string; None to decode the tokens.
        """
        said = tokens[:-1] if tokens and tokens[-1] == self._tokenizer.eos_token_id else tokens
        text = self._decoded(said) if ended_text is None else ended_text
        if self._is_over:
            return None, text, 0
        reasoning, answer, _ = self._parser().parse(
            text, self._request, model_output_token_ids=list(tokens)
        )
        if reasoning is None:
            return None, answer or "", 0
        if not answer:
            return reasoning, "", len(tokens)
        start = max(text.rfind(answer), 0)
        before = bisect_left(
            range(len(said) + 1), start, key=lambda n: len(self._decoded(said[:n]))
        )
        return reasoning, answer, before
