"""Each promise of the public surface, and the tests that hold it: none may lose its tests unnoticed."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent

ROWS = {
    # ---- decorators
    "orchestration_trigger(context_name, orchestration, input_type)": [
        "functions/test_decorators.py::test_names",
        "functions/test_typed_app.py::test_the_trigger_may_say_the_input_type",
    ],
    "activity_trigger(input_name, activity)": ["functions/test_decorators.py::test_names"],
    "entity_trigger(context_name, entity_name, expires_after)": [
        "functions/test_entity_decorators.py::test_names",
        "functions/test_entity_decorators.py::test_a_class_stays_what_it_is",
        "testing/test_harness_entities.py::test_entities_expire",
    ],
    "durable_client_input(client_name, task_hub, connection_name), async and sync": [
        "functions/test_client_binding.py::test_an_async_function_receives_a_client",
        "functions/test_client_binding.py::test_a_sync_function_receives_the_sync_twin",
        "functions/test_client_binding.py::test_a_client_of_another_hub",
    ],
    "orchestrator_function, entity_function, client_function for unit tests": [
        "functions/test_entity_decorators.py::test_a_function_is_called_like_itself",
        "functions/test_decorators.py::test_unit_tests_written_for_durable_functions_find_the_functions",
    ],
    "Orchestrator.create": ["functions/test_decorators.py::test_the_classic_orchestrator"],
    "Entity.create": [
        "functions/test_entity_decorators.py::test_the_classic_entity",
        "compat/test_entities.py::test_the_classic_entity_with_a_class_as_its_state",
    ],
    "blueprints, other triggers": [
        "functions/test_decorators.py::test_blueprints_bring_durable_functions",
        "compat/test_orders.py::test_an_order_runs_through_all_blueprints",
        "compat/test_management.py::test_other_triggers_with_a_client",
    ],
    # ---- context
    "get_input(expected_type)": ["functions/test_typed_app.py::test_types_go_in_and_come_back_as_declared"],
    "call_activity(name or function, input_, expected_type/return_type)": [
        "core/test_typed.py::test_an_orchestration_works_with_declared_types",
        "scenarios/test_patterns.py::test_chain_of_sync_and_async_activities",
        "compat/test_values.py::test_values_are_kept_as_they_are",
    ],
    "call_activity(retry_policy), call_activity_with_retry": [
        "core/test_replay.py::test_retries_wait_longer_and_longer",
        "compat/test_failures.py::test_retries",
    ],
    "call_activity(tags, placement)": [
        "functions/test_typed_app.py::test_types_go_in_and_come_back_as_declared",
        "core/test_tasks.py::test_activities_are_pinned_to_the_queue_or_not",
    ],
    "call_sub_orchestrator(name, input_, instance_id, version, tags), with retry": [
        "core/test_replay.py::test_a_child_has_the_given_id_or_a_derived_one",
        "core/test_replay.py::test_a_retried_child_is_a_new_instance_each_time",
        "scenarios/test_versions.py::test_children_have_the_version_given_or_the_workers",
    ],
    "call_http: 202, Location, Retry-After, redirects without credentials, tokens": [
        "core/test_http_calls.py::test_after_202_the_location_is_asked_until_the_answer_is_another",
        "durable_http/test_exchange.py::test_credentials_do_not_follow_to_another_origin",
        "durable_http/test_exchange.py::test_tokens_are_got_when_they_are_needed_and_stay_with_their_origin",
        "scenarios/test_http_calls.py::test_a_job_that_is_asked_after_until_it_is_done",
    ],
    "call_entity(entity_id, operation_name, operation_input)": [
        "core/test_entity_calls.py::test_a_call_waits_for_its_result",
        "core/test_entity_calls.py::test_a_call_that_fails_says_where",
        "core/test_entity_calls.py::test_arguments_go_by_several_names",
        "compat/test_entities.py::test_calls_at_once",
    ],
    "signal_entity(entity_id, operation_name, operation_input, signal_time)": [
        "core/test_entity_calls.py::test_calls_and_signals_share_the_stream_to_an_entity",
        "testing/test_entities_around.py::test_delayed_signals_are_performed_at_their_time",
        "compat/test_entities.py::test_signals_and_calls_of_an_orchestrator",
    ],
    "lock_entities([...]), both forms; is_in_critical_section, locked_entities": [
        "core/test_entity_calls.py::test_forms_of_a_section",
        "core/test_entity_calls.py::test_rules_of_a_section",
        "core/test_entity_calls.py::test_entities_are_locked_in_order_and_released",
        "scenarios/test_entities.py::test_a_critical_section",
        "scenarios/test_entities.py::test_a_lock_ends_with_its_orchestration",
        "samples/test_account_transfer.py::test_transfers_that_cross_conserve_the_money",
    ],
    "entity(kind, key): proxies": [
        "core/test_entity_calls.py::test_a_proxy_calls_operations",
        "core/test_entity_calls.py::test_a_proxy_of_a_class_has_its_name",
    ],
    "create_timer(datetime | timedelta), cancel, is_cancelled": [
        "core/test_replay.py::test_a_timer_fires_no_earlier_than_due",
        "core/test_replay.py::test_a_cancelled_timer_is_forgotten",
        "scenarios/test_patterns.py::test_timers_long_and_short_and_cancelled",
    ],
    "wait_for_external_event(name, expected_type, timeout), first come, first served": [
        "core/test_replay.py::test_several_waiters_are_served_first_come_first_served",
        "core/test_replay.py::test_a_late_event_is_a_timeout_and_stays_for_the_next_waiter",
        "compat/test_events.py::test_hundreds_of_events_of_one_name",
    ],
    "send_event": ["core/test_replay.py::test_sending_an_event_needs_no_waiting"],
    "continue_as_new(input_, save_events, new_version)": [
        "core/test_replay.py::test_continue_as_new_takes_unconsumed_events_along",
        "scenarios/test_versions.py::test_a_generation_of_a_newer_version_is_run_by_a_worker_that_may",
        "compat/test_events.py::test_continue_as_new_keeps_events",
    ],
    "task_all, when_all, task_any, when_any; winner is task": [
        "core/test_replay.py::test_any_gives_the_first_task_and_the_order_of_history_decides",
        "core/test_replay.py::test_fan_out_fails_with_the_first_failure",
        "core/test_compatibility.py::test_composites_by_both_names",
    ],
    "set_custom_status, custom_status; it stays until it is set again": [
        "core/test_replay.py::test_the_custom_status_is_told_in_the_turn_that_sets_it",
        "scenarios/test_patterns.py::test_continue_as_new_keeps_events_and_status",
        "compat/test_values.py::test_values_are_kept_as_they_are",
    ],
    "new_uuid, new_guid, current_utc_datetime, random": [
        "core/test_replay.py::test_time_ids_and_random_numbers_repeat_in_replay",
        "core/test_replay.py::test_time_never_runs_backwards",
    ],
    "is_replaying, create_replay_safe_logger": ["core/test_replay.py::test_is_replaying_and_the_replay_safe_logger"],
    "instance_id, parent_instance_id, execution_id, version, will_continue_as_new": [
        "compat/test_values.py::test_what_the_context_tells",
    ],
    "histories, function_context": [
        "core/test_compatibility.py::test_histories_are_those_of_the_turns_so_far",
        "core/test_compatibility.py::test_the_function_context_is_there_for_what_an_app_puts_into_it",
    ],
    "generators, async def and plain functions": [
        "core/test_replay.py::test_a_plain_function_completes_at_once",
        "scenarios/test_patterns.py::test_fan_out_and_in",
        "compat/test_values.py::test_orchestrators_that_are_no_generators",
    ],
    "tasks: result, get_result, is_completed, is_faulted, get_exception, state, id": [
        "core/test_compatibility.py::test_a_running_task_has_no_result_yet",
        "core/test_compatibility.py::test_the_result_of_a_failed_task_is_its_error",
        "compat/test_failures.py::test_a_task_that_fails_first",
    ],
    # ---- failures
    "TaskFailedError: type, message, stack, details, is_caused_by": [
        "core/test_failure.py::test_a_failure_knows_what_its_error_derives_from",
        "core/test_failure.py::test_a_failure_of_a_childs_activity_reads_as_one_sentence",
        "compat/test_failures.py::test_what_is_not_caught_is_the_output",
    ],
    "failure properties": ["core/test_failure.py::test_a_failure_carries_the_errors_own_attributes"],
    "RetryOptions, RetryPolicy: jitter, non_retryable, handle, timeout; no timer after the last attempt": [
        "core/test_retry.py::test_jitter_is_the_same_in_every_replay",
        "core/test_retry.py::test_types_that_end_retrying",
        "core/test_retry.py::test_a_handler_decides",
        "core/test_retry.py::test_a_policy_gives_up_when_its_time_is_up_and_never_overflows",
        "core/test_replay.py::test_no_timer_after_the_last_attempt",
    ],
    "NonRetryableError": ["core/test_replay.py::test_a_non_retryable_failure_ends_retrying"],
    # ---- client
    "start_new(name, instance_id, client_input, version)": [
        "client/test_starting.py::test_inputs_and_outputs_come_back_as_they_are",
        "client/test_starting.py::test_versions",
    ],
    "start_new(start_at, tags, reuse)": [
        "client/test_lifecycle.py::test_an_instance_begins_no_earlier_than_asked_for",
        "client/test_lifecycle.py::test_tags_are_kept",
        "client/test_reuse.py::test_a_running_one_is_terminated_and_replaced",
        "client/test_reuse.py::test_whichever_is_there_will_do",
    ],
    "get_status, get_status_all, get_status_by, paging": [
        "client/test_status.py::test_history",
        "client/test_status.py::test_a_query_pages",
        "client/test_lifecycle.py::test_queries_by_status_prefix_and_time",
        "storage/test_storage_queries.py::test_a_query_returns_exactly_what_meets_all_conditions",
    ],
    "raise_event, terminate(recursive), suspend, resume, restart": [
        "client/test_commands.py::test_events_arrive_with_their_data",
        "client/test_commands.py::test_children_are_terminated_unless_told_otherwise",
        "client/test_lifecycle.py::test_a_pause",
        "client/test_lifecycle.py::test_a_restart_has_the_same_input",
    ],
    "rewind: activities, children nested, retries, several siblings": [
        "client/test_sdk_names.py::test_a_failed_instance_tells_why_and_goes_back",
        "scenarios/test_rewind.py::test_failed_children_go_back_too_however_deep",
        "scenarios/test_rewind.py::test_retries_begin_a_new_round",
        "scenarios/test_rewind.py::test_a_fan_out_repeats_its_failed_siblings_only",
    ],
    "purge by id and by filter, with children": [
        "client/test_commands.py::test_purging_leaves_nothing",
        "client/test_lifecycle.py::test_purging_by_status_spares_what_runs_and_what_only_looks_alike",
        "client/test_sdk_names.py::test_purging_with_children",
    ],
    "signal_entity, delete_entity": [
        "client/test_entities.py::test_signals_take_effect_in_order_and_once",
        "client/test_entities.py::test_both_generations_of_names",
        "client/test_entities.py::test_a_signal_for_later_is_a_message_for_later",
        "compat/test_entities.py::test_signals_from_the_client",
    ],
    "read_entity_state -> EntityStateResponse, get_entity": [
        "client/test_entities.py::test_states",
        "client/test_entities.py::test_a_large_state_that_goes_while_it_is_read",
        "client/test_entities.py::test_one_entity_and_what_is_known_of_it",
    ],
    "list_entities, get_all_entities": [
        "client/test_entities.py::test_lists",
        "client/test_entities.py::test_lists_by_time",
        "client/test_entities.py::test_lists_by_pages",
        "client/test_entities.py::test_all_at_once",
    ],
    "clean_entity_storage": [
        "client/test_entities.py::test_empty_entities_are_removed_once_no_repeat_can_come",
        "client/test_entities.py::test_locks_that_nobody_would_release_are_released",
    ],
    "an entity is no instance": [
        "client/test_entity_ids.py::test_its_status_is_nobodys",
        "client/test_entity_ids.py::test_purging_spares_it",
        "client/test_entity_ids.py::test_nothing_is_started_under_its_id",
        "functions/test_http_entities.py::test_instance_routes_do_not_know_entities",
    ],
    "wait_for_completion": ["client/test_commands.py::test_waiting_ends"],
    "create_check_status_response, create_http_management_payload, get_client_response_links": [
        "functions/test_links.py::test_both_ways_to_ask_for_the_payload",
        "compat/test_management.py::test_links",
    ],
    "wait_for_completion_or_create_check_status_response": ["compat/test_management.py::test_waiting_for_the_output"],
    "DurableOrchestrationStatus, OrchestrationRuntimeStatus": [
        "client/test_status.py::test_a_missing_instance_is_falsy",
        "client/test_status.py::test_json_and_back",
        "compat/test_management.py::test_status_objects",
    ],
    "the SDK's names": [
        "client/test_sdk_names.py::test_schedule_wait_and_read",
        "client/test_sdk_names.py::test_states",
        "client/test_sdk_names.py::test_commands",
        "functions/test_public_api.py::test_signatures",
    ],
    "the sync twin": ["client/test_sync_client.py::test_it_has_the_methods_of_the_client"],
    "a client without Functions": ["client/test_starting.py::test_a_hub_is_opened_by_connection"],
    # ---- HTTP
    "POST orchestrators/{name}/{id?}, timeout": [
        "functions/test_http_api.py::test_start",
        "functions/test_http_api.py::test_waiting_for_the_output",
    ],
    "GET instances/{id} with its flags": [
        "functions/test_http_api.py::test_status_while_active_and_after",
        "functions/test_http_api.py::test_a_failed_instance_is_answered_with_200_unless_asked_otherwise",
        "functions/test_http_api.py::test_history_and_inputs_are_left_out_or_shown",
    ],
    "GET instances with filters and tokens": [
        "functions/test_http_api.py::test_filters",
        "functions/test_http_api.py::test_pages",
        "functions/test_http_api.py::test_tags_and_tokens",
    ],
    "DELETE instances": [
        "functions/test_http_api.py::test_purging",
        "functions/test_http_api.py::test_purging_by_time_and_status",
    ],
    "raiseEvent, terminate, suspend, resume, rewind, restart": [
        "functions/test_http_api.py::test_raising_an_event",
        "functions/test_http_api.py::test_terminating",
        "functions/test_http_api.py::test_suspending_and_resuming",
        "functions/test_http_api.py::test_rewinding",
        "functions/test_http_api.py::test_restarting",
        "functions/test_http_api.py::test_commands_to_nobody_and_to_what_has_ended",
    ],
    "GET entities/{name}/{key}": [
        "functions/test_http_entities.py::test_signals_and_the_state",
        "functions/test_http_entities.py::test_awkward_names_and_keys",
        "functions/test_http_entities.py::test_slashes_that_the_functions_host_leaves_encoded",
    ],
    "GET entities/{name?}": [
        "functions/test_http_entities.py::test_listing",
        "functions/test_http_entities.py::test_filters",
        "functions/test_http_entities.py::test_pages",
        "functions/test_http_entities.py::test_tokens_belong_to_their_conditions",
    ],
    "POST entities/{name}/{key} (signal; op), DELETE": [
        "functions/test_http_entities.py::test_bodies_are_inputs_and_states_json",
        "functions/test_http_entities.py::test_signals_that_make_no_sense",
        "functions/test_http_entities.py::test_a_signal_for_later",
        "functions/test_http_entities.py::test_deleting",
        "functions/test_http_entities.py::test_classes_delete_themselves",
    ],
    "the address of /runtime/webhooks/durabletask": [
        "functions/test_http_entities.py::test_the_address_of_the_durable_task_extension",
        "local/test_local_http.py::test_the_webhook_address_of_durable_functions_is_an_alias",
    ],
    "forwarded host and protocol": ["functions/test_links.py::test_the_address_is_the_callers"],
    "the OpenAPI document, and what it says holds": [
        "functions/test_openapi.py::test_the_document",
        "functions/test_openapi.py::test_whatever_is_asked_the_answer_is_a_documented_one",
    ],
    # ---- entities
    "EntityId(name, key), EntityInstanceId(entity=, key=); the name compares without its case": [
        "core/test_entity_ids.py::test_the_name_keeps_its_case_and_compares_without_it",
        "core/test_entity_ids.py::test_an_id_reads_back",
    ],
    "function entities: (context), (context, input); what DurableEntityContext has": [
        "core/test_entity_operations.py::test_who_is_asked_and_for_what",
        "core/test_entity_operations.py::test_input_and_state_are_read_as_types",
        "core/test_entity_operations.py::test_states_that_are_not_there_yet",
        "core/test_entity_operations.py::test_falsy_states_and_results_are_kept",
        "core/test_entity_operations.py::test_deleting",
        "core/test_entity_operations.py::test_signals_and_orchestrations_are_effects",
        "core/test_entity_operations.py::test_functions_of_the_context_alone",
        "core/test_entity_operations.py::test_functions_of_context_and_input",
    ],
    "class entities: public methods, inherited ones too; state typed by a model or plain value": [
        "core/test_entity_operations.py::test_public_methods_are_operations",
        "core/test_entity_operations.py::test_what_is_no_operation",
        "core/test_entity_operations.py::test_a_state_of_its_own",
        "core/test_entity_operations.py::test_a_state_that_is_a_model",
        "core/test_entity_operations.py::test_states_in_the_manner_of_the_sdk",
    ],
    "an operation that raises rolls back its own changes and fails its caller": [
        "core/test_entity_operations.py::test_what_raises_changes_nothing",
        "core/test_entity_operations.py::test_methods_that_raise_change_nothing",
        "scenarios/test_entities.py::test_an_operation_that_raises_changes_nothing_and_fails_its_caller_only",
        "compat/test_entities.py::test_operations_that_raise",
    ],
    "implicit delete, overridable": ["core/test_entity_operations.py::test_delete_is_there_and_can_be_overridden"],
    "operations one at a time, in batches, each once and in the order of its sender": [
        "hosts/test_entity_hosts.py::test_a_thousand_calls_on_five_counters_add_up",
        "hosts/test_entity_hosts.py::test_money_is_conserved_through_kill_9",
        "hosts/test_entity_hosts.py::test_signals_are_taken_in_order_and_once_though_a_fifth_is_delivered_twice",
        "scenarios/test_entity_requests.py::test_signals_under_load",
        "simulation/test_entity_seeds.py::test_seed",
    ],
    # ---- data
    "hints on both sides; plain JSON without": [
        "core/test_typed.py::test_round_trips",
        "core/test_typed.py::test_what_json_can_hold_is_handed_over_as_it_is",
        "functions/test_typed_app.py::test_an_activity_that_gets_what_does_not_fit_fails_by_name",
        "functions/test_typed_app.py::test_a_hint_that_does_not_resolve_is_reported_at_the_start",
    ],
    "to_json and from_json; stored data never decides what is imported": [
        "core/test_typed.py::test_stored_data_never_decides_what_is_made",
        "compat/test_values.py::test_classes_that_write_themselves",
    ],
    # ---- versions and deployments
    "defaultVersion, match and failure strategies": [
        "scenarios/test_versions.py::test_each_version_is_run_by_the_workers_that_may",
        "scenarios/test_versions.py::test_other_versions_may_be_set_to_fail",
        "functions/test_settings.py::test_versions_and_what_becomes_of_others",
    ],
    "context.patched": [
        "core/test_versions.py::test_histories_from_before_the_change_go_the_old_way",
        "scenarios/test_versions.py::test_a_patch_in_mid_run",
    ],
    "unknown functions are waited for": [
        "scenarios/test_versions.py::test_an_activity_that_a_deployment_brings_later_is_waited_for",
        "scenarios/test_trouble.py::test_a_deployment_that_knows_the_function_continues_a_blocked_instance",
    ],
}


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_its_tests(row):
    for test in ROWS[row]:
        file, _, name = test.partition("::")
        assert name in functions_of(file), f"{test} is gone: what holds the promise now?"
