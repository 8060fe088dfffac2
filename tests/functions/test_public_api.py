"""The public API: names, and the signatures that apps written for Durable Functions rely on."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import perdure_functions as df

NAMES = [
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

SIGNATURES = {
    "DFApp": "(http_auth_level=FUNCTION)",
    "DFApp.orchestration_trigger": "(self, context_name, orchestration=None, input_type=None)",
    "DFApp.activity_trigger": "(self, input_name, activity=None)",
    "DFApp.durable_client_input": "(self, client_name, task_hub=None, connection_name=None)",
    "Blueprint.activity_trigger": "(self, input_name, activity=None)",
    "Orchestrator.create": "(fn)",
    "DurableOrchestrationClient.start_new": (
        "(self, orchestration_function_name, instance_id=None, client_input=None, version=None, *, "
        "start_at=None, tags=None, reuse=None)"
    ),
    "DurableOrchestrationClient.get_status": (
        "(self, instance_id, show_history=False, show_history_output=False, show_input=False)"
    ),
    "DurableOrchestrationClient.get_status_all": "(self)",
    "DurableOrchestrationClient.raise_event": (
        "(self, instance_id, event_name, event_data=None, task_hub_name=None, connection_name=None)"
    ),
    "DurableOrchestrationClient.terminate": "(self, instance_id, reason, *, recursive=True)",
    "DurableOrchestrationClient.purge_instance_history": "(self, instance_id, *, recursive=False)",
    "DurableOrchestrationClient.wait_for_completion": "(self, instance_id, timeout=None, *, show_input=False)",
    "DurableOrchestrationClient.create_check_status_response": "(self, request, instance_id)",
    "DurableOrchestrationClient.create_http_management_payload": "(self, request=None, instance_id=None)",
    "DurableOrchestrationClient.get_client_response_links": "(self, request, instance_id)",
    "DurableOrchestrationClient.wait_for_completion_or_create_check_status_response": (
        "(self, request, instance_id, timeout_in_milliseconds=10000, retry_interval_in_milliseconds=1000)"
    ),
    "DurableOrchestrationStatus": (
        "(name=None, instanceId=None, createdTime=None, lastUpdatedTime=None, input=None, output=None, "
        "runtimeStatus=None, customStatus=None, history=None, reason=None, tags=None, failure=None, **more)"
    ),
    "PurgeHistoryResult": "(instancesDeleted, **more)",
    "RetryOptions": (
        "(first_retry_interval_in_milliseconds, max_number_of_attempts, backoff_coefficient=1.0, "
        "max_retry_interval_in_milliseconds=None, retry_timeout_in_milliseconds=None, jitter=0, non_retryable=(), "
        "handle=None)"
    ),
    "DurableOrchestrationClient.get_status_by": (
        "(self, created_time_from=None, created_time_to=None, runtime_status=None, instance_id_prefix=None, *, "
        "tags=None, show_input=False)"
    ),
    "DurableOrchestrationClient.suspend": "(self, instance_id, reason)",
    "DurableOrchestrationClient.resume": "(self, instance_id, reason)",
    "DurableOrchestrationClient.rewind": "(self, instance_id, reason, task_hub_name=None, connection_name=None)",
    "DurableOrchestrationClient.restart": "(self, instance_id, restart_with_new_instance_id=True)",
    "DurableOrchestrationClient.purge_instance_history_by": (
        "(self, created_time_from=None, created_time_to=None, runtime_status=None, *, tags=None, recursive=False)"
    ),
    "DurableOrchestrationClient.schedule_new_orchestration": (
        "(self, orchestrator, *, input=None, instance_id=None, start_at=None, reuse_id_policy=None, tags=None, "
        "version=None)"
    ),
    "DurableOrchestrationClient.get_orchestration_state": "(self, instance_id, *, fetch_payloads=True)",
    "DurableOrchestrationClient.get_all_orchestration_states": "(self, orchestration_query=None)",
    "DurableOrchestrationClient.get_orchestration_history": "(self, instance_id)",
    "DurableOrchestrationClient.wait_for_orchestration_start": (
        "(self, instance_id, *, fetch_payloads=False, timeout=60)"
    ),
    "DurableOrchestrationClient.wait_for_orchestration_completion": (
        "(self, instance_id, *, fetch_payloads=True, timeout=60)"
    ),
    "DurableOrchestrationClient.raise_orchestration_event": "(self, instance_id, event_name, *, data=None)",
    "DurableOrchestrationClient.terminate_orchestration": "(self, instance_id, *, output=None, recursive=True)",
    "DurableOrchestrationClient.suspend_orchestration": "(self, instance_id, *, reason=None)",
    "DurableOrchestrationClient.resume_orchestration": "(self, instance_id, *, reason=None)",
    "DurableOrchestrationClient.rewind_orchestration": "(self, instance_id, *, reason=None)",
    "DurableOrchestrationClient.restart_orchestration": "(self, instance_id, *, restart_with_new_instance_id=False)",
    "DurableOrchestrationClient.purge_orchestration": "(self, instance_id, recursive=True)",
    "DurableOrchestrationClient.purge_orchestrations_by": (
        "(self, created_time_from=None, created_time_to=None, runtime_status=None, recursive=False)"
    ),
}


def test_names():
    assert df.__all__ == NAMES
    assert all(hasattr(df, name) for name in NAMES)


def test_aliases():
    assert df.DurableApp is df.DFApp
    assert df.DurableFunctionsClient is df.DurableOrchestrationClient
    assert df.DurableOrchestrationContext is df.OrchestrationContext


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name):
    found = df
    for part in name.split("."):
        found = getattr(found, part)
    signature = inspect.signature(found)
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    shown = str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    assert shown.replace("<AuthLevel.FUNCTION: 'function'>", "FUNCTION") == SIGNATURES[name]


def test_the_sync_twin_has_what_the_client_has():
    def surface(cls):
        members = inspect.getmembers(cls, inspect.isfunction)
        return {name: list(inspect.signature(member).parameters) for name, member in members if name[0] != "_"}

    client = surface(df.DurableOrchestrationClient)
    del client["close"]
    assert surface(df.SyncDurableFunctionsClient) == client


def test_importing_it_stays_light():
    heavy = ["azure.storage", "azure.data", "azure.core", "azure.identity", "aiohttp", "starlette", "pydantic"]
    code = f"import sys, perdure_functions; print([name for name in {heavy!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
