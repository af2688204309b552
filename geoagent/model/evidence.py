"""How a target was found, as maps: where its words were heard in the image, what SAM2 was told to look at."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from geoagent.model.grounding import Grounding
from geoagent.model.prompting import GroundedPrompts
from geoagent.types import Evidence


@dataclass(frozen=True)
class WordPlaces:
    """Which of a target's words are the question's and which the phrase's; its <seg> or <rej> is the last."""

    question: int
    phrase: int

    @property
    def has_token(self) -> bool:
        """Whether a <seg> or <rej> follows: a described target (SegEarth-R1) has only the question."""
        return self.phrase > 0


@contextmanager
def watch_prompts(prompting: nn.Module) -> Iterator[list[GroundedPrompts]]:
    """Collects what GPG makes, group after group of targets, while the block runs."""
    seen: list[GroundedPrompts] = []
    handle = prompting.register_forward_hook(lambda module, inputs, output: seen.append(output))
    try:
        yield seen
    finally:
        handle.remove()


def gather_evidence(
    grounded: Sequence[tuple[Tensor, Grounding]], prompts: Sequence[GroundedPrompts], words: Sequence[WordPlaces]
) -> list[Evidence]:
    """The evidence of each target, from its group's grounding and prompts."""
    found = [Evidence()] * len(words)
    for (targets, grounding), prompt in zip(grounded, prompts, strict=True):
        for row, target in enumerate(targets.tolist()):
            dense = None if prompt.dense is None else _numbers(prompt.dense[row].norm(dim=0))
            attention = None if grounding.image_attention is None else grounding.image_attention[row]
            found[target] = _evidence(attention, dense, words[target])
    return found


def _evidence(attention: Tensor | None, dense: NDArray[np.float32] | None, words: WordPlaces) -> Evidence:
    """``attention`` is [Hv,Wv,Nt]; padding stands behind the last word and has no weight."""
    if attention is None:
        return Evidence(prompt=dense)
    question = _numbers(attention[..., : words.question].sum(dim=-1))
    if not words.has_token:
        return Evidence(question=question, prompt=dense)
    end = words.question + words.phrase
    return Evidence(
        question=question,
        phrase=_numbers(attention[..., words.question : end].sum(dim=-1)),
        seg=_numbers(attention[..., end]),
        prompt=dense,
    )


def _numbers(values: Tensor) -> NDArray[np.float32]:
    numbers: NDArray[np.float32] = values.float().cpu().numpy()
    return numbers
