"""An app of a workflow whose agent runs in mode `steps`, as a user would write one."""

import azure.functions as func
import flow

import perdure_functions as df

app = df.agents.AgentFunctionApp(
    http_auth_level=func.AuthLevel.ANONYMOUS,
    workflows=[flow.build],
    workflow_options={"agent_mode": "steps", "model_retry": None},
)
