"""The client: starts orchestrations, asks after them, sends them events, ends and deletes them."""

from perdure.client.client import Client, StatusPage
from perdure.client.status import DurableOrchestrationStatus, PurgeHistoryResult
from perdure.client.sync_client import SyncClient

__all__ = ["Client", "DurableOrchestrationStatus", "PurgeHistoryResult", "StatusPage", "SyncClient"]
