"""Learn what words say of questions that name nothing, and write it into the folder of a model.

    python -m tools.learn_words runs/nano/model

Of the model's classes, from the questions, reasons and names that training may use, see `geoagent.model.meaning`.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from geoagent.data.associations import associations
from geoagent.data.instructions import phrasing
from geoagent.data.knowledge import load, plain_implicit
from geoagent.model.configuration import GeoAgentConfig
from geoagent.model.processor import WORDS_FILE
from train.words import learn_words


def known_texts(class_names: Sequence[str], *, associated: bool = True) -> Mapping[str, Sequence[str]]:
    """What training may know to be said of each class, with or without what goes with it."""
    return {name: _texts(name, associated=associated) for name in class_names}


def _texts(name: str, *, associated: bool) -> list[str]:
    entry = load(name)
    return [
        *phrasing.implicit(name, "train"),
        *plain_implicit(name),
        *(reason.replace("{phrase}", "") for reason in entry.reasons),
        *(noun.singular for noun in entry.names),
        *(associations(name) if associated else ()),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a model whose configuration names classes")
    folder = parser.parse_args(argv).model
    classes = GeoAgentConfig.from_pretrained(folder).meaning.classes
    if not classes:
        parser.error(f"the configuration of {folder} names no classes (meaning.classes): it has no use for words")
    learn_words(known_texts(classes)).save(folder / WORDS_FILE)


if __name__ == "__main__":
    main()
