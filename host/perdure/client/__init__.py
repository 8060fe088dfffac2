"""The client: starts orchestrations, asks after them, sends them events, ends and deletes them."""

from perdure.client.asking import StatusPage
from perdure.client.client import Client
from perdure.client.entities import EntityQuery
from perdure.client.entity_state import CleanEntityStorageResult, EntityMetadata, EntityPage, EntityStateResponse
from perdure.client.reuse import ReuseId
from perdure.client.sdk_names import OrchestrationQuery
from perdure.client.status import DurableOrchestrationStatus, OrchestrationFailedError, PurgeHistoryResult
from perdure.client.sync_client import SyncClient
from perdure.engine.parking import PoisonMessage, PoisonPage
from perdure.streaming import StreamItem, StreamPage

__all__ = [
    "CleanEntityStorageResult",
    "Client",
    "DurableOrchestrationStatus",
    "EntityMetadata",
    "EntityPage",
    "EntityQuery",
    "EntityStateResponse",
    "OrchestrationFailedError",
    "OrchestrationQuery",
    "PoisonMessage",
    "PoisonPage",
    "PurgeHistoryResult",
    "ReuseId",
    "StatusPage",
    "StreamItem",
    "StreamPage",
    "SyncClient",
]
