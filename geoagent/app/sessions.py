"""Who is talking: one conversation for each open page, none of which can see another's images."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from geoagent.app.asking import Asker, Worker
from geoagent.app.conversation import Conversation, TalkedAbout

IDLE_SECONDS = 3 * 3600.0


class Sessions:
    """The conversations, by the key that the server gave each page."""

    def __init__(self, model: Asker, images: Sequence[Path] = (), llm: Any = None) -> None:
        self.model = model
        self._images = tuple(images)
        self.llm = llm
        self.worker = Worker()
        self._conversations: dict[str, Conversation] = {}
        self._lock = threading.Lock()

    def of(self, key: str) -> Conversation:
        """The conversation of a page; a new page gets a new one with the images of the command line."""
        with self._lock:
            self._drop_idle()
            if key not in self._conversations:
                images = [TalkedAbout(path.name, path) for path in self._images]
                self._conversations[key] = Conversation(
                    model=self.model, worker=self.worker, images=images, current=0 if images else -1
                )
                if self.llm is not None:
                    from geoagent.app.agent_chat import AgentTalk

                    new = self._conversations[key]
                    new.agent = AgentTalk(self.llm, self.model, new.folder)
            conversation = self._conversations[key]
            conversation.used = time.monotonic()
            return conversation

    def end(self, key: str) -> None:
        """Forget a page that was closed, and remove its files."""
        with self._lock:
            conversation = self._conversations.pop(key, None)
        if conversation is not None:
            conversation.close()

    def close(self) -> None:
        """Forget all."""
        for key in list(self._conversations):
            self.end(key)

    @property
    def conversations(self) -> list[Conversation]:
        """Those that go on."""
        return list(self._conversations.values())

    def __len__(self) -> int:
        return len(self._conversations)

    def _drop_idle(self) -> None:
        oldest = time.monotonic() - IDLE_SECONDS
        for key in [key for key, c in self._conversations.items() if c.used < oldest]:
            self._conversations.pop(key).close()
