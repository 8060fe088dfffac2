"""Perdure on Azure Functions: `import perdure_functions as df`.

The names are those of Durable Functions for Python, so that an app moves over by changing this import; beside them
stand those of the Durable Task SDK.
"""

from typing import TYPE_CHECKING

from perdure.client import (
    CleanEntityStorageResult,
    DurableOrchestrationStatus,
    EntityMetadata,
    EntityPage,
    EntityQuery,
    EntityStateResponse,
    OrchestrationFailedError,
    OrchestrationQuery,
    PurgeHistoryResult,
    ReuseId,
)
from perdure.core.context import OrchestrationContext
from perdure.core.critical_sections import EntityLock
from perdure.core.entities.context import DurableEntityContext
from perdure.core.entities.durable_entity import DurableEntity
from perdure.core.entity_id import EntityId, EntityInstanceId
from perdure.core.failure import NonRetryableError, TaskFailedError
from perdure.core.http_calls import ManagedIdentityTokenSource
from perdure.core.retry import RetryOptions, RetryPolicy
from perdure.core.status import OrchestrationRuntimeStatus
from perdure.core.tasks import Task
from perdure.core.typed import register_type
from perdure.engine.registry import ActivityContext, activity_context
from perdure.errors import (
    DataError,
    InstanceEndedError,
    InstanceExistsError,
    InstanceNotEndedError,
    InstanceNotFoundError,
    LockingRulesViolationError,
    PerdureError,
    UnknownFunctionError,
    UnknownOperationError,
)
from perdure_functions.app import Blueprint, DFApp, DurableApp
from perdure_functions.client import DurableFunctionsClient, DurableOrchestrationClient, SyncDurableFunctionsClient
from perdure_functions.durable_function import Entity, Orchestrator

DurableOrchestrationContext = OrchestrationContext
EntityContext = DurableEntityContext

__all__ = [
    "ActivityContext",
    "Blueprint",
    "CleanEntityStorageResult",
    "DFApp",
    "DataError",
    "DurableApp",
    "DurableEntity",
    "DurableEntityContext",
    "DurableFunctionsClient",
    "DurableOrchestrationClient",
    "DurableOrchestrationContext",
    "DurableOrchestrationStatus",
    "Entity",
    "EntityContext",
    "EntityId",
    "EntityInstanceId",
    "EntityLock",
    "EntityMetadata",
    "EntityPage",
    "EntityQuery",
    "EntityStateResponse",
    "InstanceEndedError",
    "InstanceExistsError",
    "InstanceNotEndedError",
    "InstanceNotFoundError",
    "LockingRulesViolationError",
    "ManagedIdentityTokenSource",
    "NonRetryableError",
    "OrchestrationContext",
    "OrchestrationFailedError",
    "OrchestrationQuery",
    "OrchestrationRuntimeStatus",
    "Orchestrator",
    "PerdureError",
    "PurgeHistoryResult",
    "RetryOptions",
    "RetryPolicy",
    "ReuseId",
    "SyncDurableFunctionsClient",
    "Task",
    "TaskFailedError",
    "UnknownFunctionError",
    "UnknownOperationError",
    "activity_context",
    "register_type",
]

if TYPE_CHECKING:
    from perdure_functions import agents as agents
else:

    def __getattr__(name: str) -> object:
        """`df.agents`, which needs the extra `agents`, is imported when it is first asked for."""
        if name == "agents":
            import perdure_functions.agents

            return perdure_functions.agents
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
