"""Dispatch: carries out what a committed turn sends. Every send may be repeated; receivers drop duplicates.

If the process dies between two sends, the messages that the turn consumed are still unacknowledged: they come again,
their turn is known, and all that it sends and is not finished is sent again.
"""

from __future__ import annotations

from typing import assert_never

from perdure.core.failure import Failure
from perdure.core.history import Turn
from perdure.core.messages import Completion, Completions, Start
from perdure.core.outbox import Child, Post, Report, Sender, outcome_message_id, outgoing, start_message_id
from perdure.core.state import Parent, State
from perdure.engine.mail import Mail
from perdure.engine.payloads import PayloadDesk
from perdure.engine.starting import InstanceIdTaken, Starting


class Dispatch:
    """Sends for one worker."""

    def __init__(self, mail: Mail, payloads: PayloadDesk, starting: Starting) -> None:
        self._mail = mail
        self._payloads = payloads
        self._starting = starting

    async def send(self, turn: Turn, state: State, sender: Sender, *, again: bool) -> None:
        """Send what the turn decided and is not finished."""
        for item in outgoing(turn, state, sender, again=again):
            match item:
                case Post():
                    await self._mail.send(item.message, due=item.due)
                case Child():
                    await self._start_child(item)
                case Report():
                    await self._report(sender, turn, item)
                case _:
                    assert_never(item)

    async def outcome(
        self, instance_id: str, execution: str, completion: Completion, *, delay: float = 0, tries: int = 0
    ) -> None:
        """Queue the outcome of an action to the instance that waits for it."""
        message_id = outcome_message_id(execution, completion.no)
        message = Completions(to=instance_id, id=message_id, execution=execution, items=[completion], tries=tries)
        await self._mail.send(message, delay=delay)

    async def _start_child(self, child: Child) -> None:
        action = child.action
        row = self._starting.row(
            action.instance_id,
            action.name,
            execution_id=action.execution_id,
            input_=action.input,
            version=action.version,
            parent=child.parent,
        )
        try:
            await self._starting.insert(row)
        except InstanceIdTaken as taken:
            failure = Failure("InstanceExistsError", str(taken))
            await self._tell(child.parent, Completion(action.no, failure=failure))
            return
        message_id = start_message_id(action.execution_id)
        await self._mail.send(Start(to=action.instance_id, id=message_id, execution_id=action.execution_id))

    async def _report(self, sender: Sender, turn: Turn, report: Report) -> None:
        parent, completion = report.to, report.completion
        result = await self._payloads.hand_over(
            sender.instance_id, completion.result, parent.instance_id, f"{sender.execution_id}-{turn.generation}-output"
        )
        await self._tell(parent, Completion(completion.no, result, completion.failure))

    async def _tell(self, parent: Parent, completion: Completion) -> None:
        await self.outcome(parent.instance_id, parent.execution, completion)
