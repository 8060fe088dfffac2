"""What Azure Storage promises and charges. Change a figure here, and `make scale ARGS=--page` changes docs/scale.md."""

from __future__ import annotations

ACCOUNT_PER_SECOND = 20_000
"""Requests a second that a standard account takes by default; twice as many for general-purpose v2 in some regions.

https://learn.microsoft.com/azure/storage/common/scalability-targets-standard-account
"""
QUEUE_PER_SECOND = 2_000
"""Messages a second of one queue. Here every request to it counts as one: a send, a delete, a receive of up to 32
messages, and one that finds nothing.

https://learn.microsoft.com/azure/storage/queues/scalability-targets
"""
PARTITION_PER_SECOND = 2_000
"""Entities a second of one table partition, which is one instance.

https://learn.microsoft.com/azure/storage/tables/scalability-targets
"""

TABLE_PRICE = 0.00036 / 10_000
"""Dollars a request, whatever it does and whatever comes of it. Locally redundant, East US and West Europe, July
2026.

https://azure.microsoft.com/pricing/details/storage/tables/
"""
QUEUE_PRICE = 0.004 / 10_000
"""Dollars a request of either class in a general-purpose v2 account. Locally redundant, West US.

https://azure.microsoft.com/pricing/details/storage/queues/
"""
OLD_QUEUE_PRICE = 0.00036 / 10_000
"""The same in a general-purpose v1 account."""
