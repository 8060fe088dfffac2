"""Checkpoints of a functional workflow: what its steps have returned, stored before the next one begins.

The framework takes a checkpoint after each `@step`. Here it becomes a payload of the run's instance, under a number
that rises; only the newest one is kept, and all go with the instance. A second attempt at the same activity begins
with the newest, so the steps before it do not run again. Should the first attempt still live, both run on, and whoever
ends first counts; the number that one has taken the other leaves alone.
"""

from __future__ import annotations

import json

from agent_framework import WorkflowCheckpoint

from perdure.agents.workflows.codec import Codec
from perdure.agents.workflows.errors import UndeclaredTypeError
from perdure.errors import PerdureError
from perdure.storage.protocol import Storage


class StepJournal:
    """The framework's checkpoint storage, for one run.

    Args:
        storage: the hub's.
        instance_id: the run's instance.
        life: names this execution of the instance, should its id be used again.
        codec: of the workflow.
    """

    def __init__(self, storage: Storage, instance_id: str, life: str, codec: Codec) -> None:
        self._storage = storage
        self._instance_id = instance_id
        self._prefix = f"steps-{life}-"
        self._codec = codec
        self._number = 0
        self._newest: WorkflowCheckpoint | None = None

    async def open(self) -> str | None:
        """Return the id of the newest checkpoint, None if there is none yet."""
        stored = await self._storage.list_payloads(self._instance_id, self._prefix)
        if not stored:
            return None
        self._number = int(stored[-1].removeprefix(self._prefix))
        data = await self._storage.get_payload(self._instance_id, stored[-1])
        newest: WorkflowCheckpoint = self._codec.decode(json.loads(data))
        self._newest = newest
        return newest.checkpoint_id

    async def save(self, checkpoint: WorkflowCheckpoint) -> str:
        """Store a checkpoint in the place of the one before. Raises UndeclaredTypeError."""
        try:
            written = self._codec.encode(checkpoint)
        except UndeclaredTypeError as error:
            where = f"what a step of workflow '{checkpoint.workflow_name}' returned, or its input or state,"
            raise error.at(where) from None
        self._number += 1
        mine = self._number
        data = json.dumps(written, separators=(",", ":")).encode()
        await self._storage.add_payload(self._instance_id, self._id(mine), data)
        if mine > 1:
            await self._storage.delete_payloads(self._instance_id, [self._id(mine - 1)])
        return checkpoint.checkpoint_id

    def _id(self, number: int) -> str:
        return f"{self._prefix}{number:08}"

    async def load(self, checkpoint_id: str) -> WorkflowCheckpoint:
        """Return the checkpoint that `open` found. Raises PerdureError for any other."""
        if self._newest is None or self._newest.checkpoint_id != checkpoint_id:
            raise PerdureError(f"instance '{self._instance_id}' has no checkpoint '{checkpoint_id}'")
        return self._newest

    async def get_latest(self, *, workflow_name: str) -> WorkflowCheckpoint | None:
        """Return the checkpoint that `open` found, if it is this workflow's."""
        return next(iter(await self.list_checkpoints(workflow_name=workflow_name)), None)

    async def list_checkpoints(self, *, workflow_name: str) -> list[WorkflowCheckpoint]:
        """Return the checkpoint that `open` found, if it is this workflow's."""
        newest = self._newest
        return [newest] if newest is not None and newest.workflow_name == workflow_name else []

    async def list_checkpoint_ids(self, *, workflow_name: str) -> list[str]:
        """Return the id of the checkpoint that `open` found, if it is this workflow's."""
        return [each.checkpoint_id for each in await self.list_checkpoints(workflow_name=workflow_name)]

    async def delete(self, checkpoint_id: str) -> bool:  # noqa: ARG002 - the framework's protocol
        """Delete nothing: checkpoints go with their instance."""
        return False
