"""The messages in the hands of an orchestration's session. While anything runs in place, one that is held is the
anchor: should this process die it comes again, and whoever receives it runs that again (DESIGN.md, section 6).
"""

from __future__ import annotations

from collections.abc import Sequence

from perdure.engine.delivery import AnchorLost, Inbound
from perdure.engine.hand import Hand
from perdure.engine.journal import Journal


class InHand(Hand):
    """Keeps them, and gives up those that another session takes over.

    Args:
        nonce: the session's.
        journal: the instance.
    """

    def __init__(self, nonce: str, journal: Journal) -> None:
        super().__init__()
        self._nonce = nonce
        self._journal = journal

    def hold(self, consumed: Sequence[Inbound]) -> None:
        """Hold messages that a commit has consumed, unless another session has been faster."""
        self.held = [each for each in self.held if each not in consumed] + self._still_mine(consumed)

    def hold_again(self, known: Sequence[Inbound]) -> None:
        """Hold messages that a commit has taken over. As anchors they rank below those that are held: an old delivery
        may be of a message that somebody has received later, taken over and deleted.
        """
        self.held = self._still_mine(known) + [each for each in self.held if each not in known]

    def look_again(self) -> None:
        """The row has been read anew: let go of held messages that another session has taken over."""
        self.held = self._still_mine(self.held)

    def _still_mine(self, messages: Sequence[Inbound]) -> list[Inbound]:
        """Return those that this session was the last to consume or take over; let go of the others."""
        mine: list[Inbound] = []
        state, there = self._journal.state, self._journal.row is not None
        for inbound in messages:
            if there and state.holder(inbound.message.id) == self._nonce:
                mine.append(inbound)
            elif there and not state.knows(inbound.message.id):
                inbound.delivery.acknowledge()  # its generation is over, so long ago that no record of it is left
            else:
                inbound.delivery.give_back(AnchorLost(f"another session has taken over message '{inbound.message.id}'"))
        return mine
