"""Write the folder of nano: configuration, tokenizer, chat template, image processors.

    python -m tools.build_nano [--out DIR]

The vocabulary is learned from every wording that the instruction maker knows. Weights are not written: training does.
"""

import argparse
from pathlib import Path

from geoagent.data.instructions import all_wordings
from geoagent.model.catalogue import NANO_FOLDER
from geoagent.model.nano import nano_config, nano_processor, train_tokenizer
from tools.learn_words import known_texts
from train.words import learn_words


def main() -> None:
    """Parse, build, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=NANO_FOLDER)
    folder = parser.parse_args().out
    tokenizer = train_tokenizer(all_wordings())
    config = nano_config(tokenizer)
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    words = learn_words(known_texts(config.meaning.classes))
    nano_processor(tokenizer, config, words).save_pretrained(folder)
    print(f"{folder}: {len(tokenizer)} tokens")


if __name__ == "__main__":
    main()
