"""How long a person waits on the chat page: from Enter to the answer with its masks, in a real browser.

    python -m tools.bench_chat [--model nano] [--threads 2] [--rounds 3] [--tokens N]

Each bundled picture is brought as a file to a fresh page of a warm model. Three waits are measured: a first question
(the picture is encoded), another one about the same picture, and one about what was found. Exits with 1 when the
slowest first answer takes more than 2 s or the slowest follow-up more than 1 s. Needs Debian's chromium, and a quiet
machine.
"""

import argparse
import statistics
import time
from dataclasses import replace

from playwright.sync_api import Browser, Page

from geoagent.app.serve import serve
from geoagent.demo import DEMOS, Demo
from tools.screenshots import headless_browser, warm_model

ALLOWED = {"first": 2.0, "follow-up": 1.0, "about those": 1.0}
"""Seconds."""


def wait_for_answer(page: Page, question: str) -> float:
    """Ask, and take the time until the answer stands there; its masks come in the same update."""
    page.fill("#ga-box textarea", question)
    answers = page.locator(".ga-answer").count()
    began = time.perf_counter()
    page.press("#ga-box textarea", "Enter")
    page.wait_for_function("n => document.querySelectorAll('.ga-answer').length > n", arg=answers)
    seconds = time.perf_counter() - began
    page.wait_for_function("document.querySelector('#ga-status .ga-wait') === null")
    return seconds


def measure(browser: Browser, address: str, demo: Demo) -> dict[str, float]:
    """The waits of one visit."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    try:
        page.goto(address)
        page.wait_for_selector(".ga-chip")
        page.set_input_files("#ga-box input[type=file]", demo.path)
        page.wait_for_selector("#ga-box .thumbnail-item, #ga-box .thumbnails")
        first, second = demo.questions[:2]
        return {
            "first": wait_for_answer(page, first),
            "follow-up": wait_for_answer(page, second),
            "about those": wait_for_answer(page, "Which of those is the largest?"),
        }
    finally:
        page.close()


def main() -> int:
    """Parse, load, visit, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--threads", type=int, default=2, help="cores of the model")
    parser.add_argument("--rounds", type=int, default=3, help="visits with each picture")
    parser.add_argument("--tokens", type=int, help="limit of an answer, for weights that never end one")
    args = parser.parse_args()

    import torch

    torch.set_num_threads(args.threads)
    model = warm_model(args.model)
    if args.tokens:
        config = model.predictor.model.config
        config.answer = replace(config.answer, max_new_tokens=args.tokens)
    served = serve(model)
    waits: dict[str, list[float]] = {kind: [] for kind in ALLOWED}
    try:
        with headless_browser() as browser:
            measure(browser, served.address, DEMOS[0])  # the browser's own first time
            for demo in DEMOS * args.rounds:
                found = measure(browser, served.address, demo)
                print(f"{demo.name:8}" + "".join(f"  {kind} {seconds:.2f} s" for kind, seconds in found.items()))
                for kind, seconds in found.items():
                    waits[kind].append(seconds)
    finally:
        served.close()
    for kind, all_waits in waits.items():
        middle = statistics.median(all_waits)
        print(f"{kind}: median {middle:.2f} s, slowest {max(all_waits):.2f} s (allowed {ALLOWED[kind]:.0f} s)")
    return int(any(max(all_waits) > ALLOWED[kind] for kind, all_waits in waits.items()))


if __name__ == "__main__":
    raise SystemExit(main())
