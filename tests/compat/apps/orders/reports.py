import azure.durable_functions as df

bp = df.Blueprint(http_auth_level="FUNCTION")


def orchestrator_function(context: df.DurableOrchestrationContext):
    parts = context.get_input()
    lines = []
    for part in parts:
        line = yield context.call_activity("Describe", part)
        lines.append(line)
    return lines


main = df.Orchestrator.create(orchestrator_function)

bp.orchestration_trigger(context_name="context", orchestration="Report")(main.orchestrator_function)


@bp.activity_trigger(input_name="part", activity="Describe")
def describe(part: str) -> str:
    return f"- {part}"
