"""Which request a response belongs to. Responses answer requests in order (RFC 9112 section 9.3.2), so it is a queue.

Behind a gap that hides where messages begin, halves are shown apart rather than paired wrong:

- A gap in the responses may hide those of all requests that wait. They are shown without one.
- A gap in the requests may hide some, whose responses come before those of later ones. Requests that waited before it
  get theirs; what follows those belongs to nobody.
- Pairing begins anew with a request that is sent when nothing is outstanding, as far as can be seen: a client that waits for
  each response has then got them all. Of one that does not (it pipelines, section 9.3.2), nobody can ever say so.
"""

from __future__ import annotations

from collections import deque

from pellucid.parse.http1.exchange import Exchange


class Pairing:
    """The requests of a connection that wait. Those that get no response any more are returned, to be shown."""

    __slots__ = ("_given_up", "_most", "_owed", "_pipelines", "_sure", "_torn", "waiting")

    def __init__(self, most: int) -> None:
        self._most = most
        """Requests that may wait."""
        self.waiting: deque[Exchange] = deque()
        """Requests in order whose final response has not begun."""
        self._given_up = 0
        """Requests older than those, shown when more than `most` waited: their responses come first."""
        self._torn = False
        """Behind a gap: which of the waiting requests, or of those in the hole, a response answers is not known ..."""
        self._sure = 0
        """... but for so many of the oldest that wait, which come before it."""
        self._owed = False
        """A gap in the responses has hidden the ends of several exchanges, and none was seen since."""
        self._pipelines = False
        """The client has sent a request while another one was unanswered, beyond doubt."""

    def asked(self, exchange: Exchange, *, answering: bool) -> Exchange | None:
        """Take a request that begins, `answering` while a response arrives; return one that has waited too long."""
        if self._torn and not (self.waiting or answering or self._owed or self._pipelines):
            self._torn = False
        elif self.waiting and self.waiting[-1].began == exchange.began:
            self._pipelines = True  # one call has sent both
        self.waiting.append(exchange)
        return self._give_up() if len(self.waiting) > self._most else None

    def answered(self) -> Exchange:
        """Take the exchange that a final response belongs to: a new one where it belongs to nobody."""
        self._owed = False
        if self._given_up:
            self._given_up -= 1
            return Exchange(problem="its request was shown before: too many were waiting")
        if not self.waiting or (self._torn and not self._sure):
            return Exchange()
        exchange = self.waiting.popleft()
        self._sure = max(self._sure - 1, 0)
        self._pipelines = self._pipelines or bool(self.waiting)
        return exchange

    def unanswerable(self) -> list[Exchange]:
        """Requests of which it is not known, now that a final response begins, whether it is theirs; in order."""
        return self._unanswered() if self._torn and not (self._sure or self._given_up) else []

    def lose_requests(self) -> None:
        """A gap may hide requests."""
        if not self._torn:
            self._sure = len(self.waiting)
        self._torn = True

    def lose_responses(self) -> list[Exchange]:
        """A gap may hide responses, those to all that wait; return these, in order."""
        unanswered = self._unanswered()
        self._owed = self._given_up + len(unanswered) > 1
        self._given_up = 0
        self._sure = 0 if self._pipelines else len(self.waiting)
        self._torn = True
        return unanswered

    def _give_up(self) -> Exchange:
        if self._sure or not self._torn:
            self._given_up += 1
            self._sure = max(self._sure - 1, 0)
        exchange = self.waiting.popleft()
        exchange.unanswered(f"{self._most} further requests")
        return exchange

    def _unanswered(self) -> list[Exchange]:
        """The requests that wait, and are whole, up to the first that is not."""
        unanswered = []
        while self.waiting and self.waiting[0].sent:
            exchange = self.waiting.popleft()
            exchange.unanswered("bytes were lost")
            unanswered.append(exchange)
        return unanswered
