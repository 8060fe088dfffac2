"""The Azure provider: Tables, Queues and Blobs of one storage account. Only this package imports their SDKs."""

from perdure.storage.azure.queues import AzureQueues
from perdure.storage.azure.storage import AzureStorage
from perdure.storage.azure.transport import Transport

__all__ = ["AzureQueues", "AzureStorage", "Transport"]
