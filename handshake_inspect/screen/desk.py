"""Questions for the thread that owns the inspector, and their answers.

In: functions, from the thread of the screen. Out: their results, as futures. They run one after the other in the thread
that calls `answer` or `serve`, so that what this thread owns needs no lock.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class QuestionQueue:
    """Questions that wait for their thread."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._is_closed = False

    def ask(self, question: Callable[[], T]) -> Future[T]:
        """Let the owner's thread call a function. Cancel the future if the answer is no longer needed."""
        future: Future[T] = Future()
        self._waiting.put((future, question))
        return future

    def answer(self) -> None:
        """Answer the questions that wait now, and return."""
        while not self._waiting.empty():
            self._answer_next()

    def serve(self) -> None:
        """Answer questions until the queue is closed."""
        while not self._is_closed:
            self._answer_next()

    def close(self) -> None:
        """Let `serve` return after the questions that were asked before."""
        self._waiting.put(None)

    def _answer_next(self) -> None:
        item = self._waiting.get()
        if item is None:
            self._is_closed = True
            return
        future, question = item
        if future.set_running_or_notify_cancel():
            try:
                answer = question()
            except Exception as error:  # whoever asked shall have it
                future.set_exception(error)
            else:
                future.set_result(answer)
