"""Deciding about phrases that are known already: one pass instead of one for each token of an answer.

The tiles of a large image are all asked for the same thing. Letting the language model write its name again on every
tile costs most of the time and could only go wrong, so the phrase is given and only the decision is read off.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from geoagent.model import mllm as language
from geoagent.model.tokens import TokenIds


@torch.no_grad()
def judge_phrases(
    mllm: language.Mllm,
    prefixes: Sequence[language.Prefix],
    questions: Sequence[Tensor],
    phrases: Sequence[Sequence[int]],
    ids: TokenIds,
) -> list[language.WrittenAnswer]:
    """Answers ``<p>phrase</p>`` with the decision that the language model takes behind it.

    The same as `geoagent.model.mllm.write_answers` where that writes the phrase of its own accord: the state at
    ``</p>`` decides, and the state at ``<seg>``, which is fed for both decisions, asks for the mask.

    Args:
        mllm: The language model.
        prefixes: The images.
        questions: int64 [Qi] each.
        phrases: Tokens of each phrase, without marks.
        ids: Those of the marks.
    """
    device = prefixes[0].keys[0].device
    cache, prefix_mask = language.join_prefixes(prefixes)
    rows = [
        torch.cat([question, torch.tensor([ids.open, *phrase, ids.close, ids.seg], device=device)])
        for question, phrase in zip(questions, phrases, strict=True)
    ]
    longest = max(len(row) for row in rows)
    tokens = torch.full((len(rows), longest), ids.stops[0], device=device)
    mask, positions = torch.zeros_like(tokens), torch.zeros_like(tokens)
    for n, (row, prefix) in enumerate(zip(rows, prefixes, strict=True)):
        tokens[n, longest - len(row) :] = row
        mask[n, longest - len(row) :] = 1
        positions[n, longest - len(row) :] = prefix.next_position + torch.arange(len(row), device=device)
    whole = torch.cat([prefix_mask, mask], dim=1)
    states = language.read_text(mllm, tokens, positions.expand(3, -1, -1), whole, cache=cache)
    logits = mllm.lm_head(states[:, -2]).float()
    decisions = logits[:, ids.seg] - logits[:, ids.rej]
    answers = []
    for n, (question, phrase) in enumerate(zip(questions, phrases, strict=True)):
        decided = ids.seg if decisions[n] > 0 else ids.rej
        answers.append(
            language.WrittenAnswer(
                tokens=torch.tensor([ids.open, *phrase, ids.close, decided], device=device),
                states=states[n, longest - len(phrase) - 3 :],
                question_states=states[n, longest - len(rows[n]) : longest - len(rows[n]) + len(question)],
                decision_logits=decisions[n : n + 1],
                complete=True,
            )
        )
    return answers
