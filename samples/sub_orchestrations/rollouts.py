"""The roll-outs: sites full of devices."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import azure.functions as func
from pydantic import BaseModel, Field, ValidationError

import perdure_functions as df
from devices import Device, provision_device
from perdure.errors import InstanceExistsError

rollouts = df.Blueprint()


class Site(BaseModel):
    """A place with devices."""

    name: str
    devices: list[Device]


class Plan(BaseModel):
    """The input of `roll_out`."""

    sites: list[Site] = Field(min_length=1)


class Trouble(BaseModel):
    """Why a site is not equipped."""

    chain: str
    """What failed because of what."""
    origin: str
    """What it began with: the type of error, at the bottom of the chain."""
    serial: str | None
    """The device that it is about, if it is about one."""


class Result(BaseModel):
    """What has come of a plan."""

    equipped: dict[str, dict[str, str]] = {}
    """Certificates by site and serial number."""
    failed: dict[str, Trouble] = {}


@rollouts.route(route="rollouts/{id}", methods=["PUT"])
@rollouts.durable_client_input(client_name="client")
async def start_rollout(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Start a roll-out; the body is a `Plan`."""
    try:
        plan = Plan.model_validate_json(req.get_body())
        instance_id = await client.start_new(roll_out, req.route_params["id"], plan)
    except ValidationError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    except InstanceExistsError as error:
        return func.HttpResponse(f"{error}\n", status_code=409)
    return client.create_check_status_response(req, instance_id)


@rollouts.route(route="rollouts/{id}/parts", methods=["GET"])
@rollouts.durable_client_input(client_name="client")
async def list_parts(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """List the sites and devices of a roll-out with how they are: their ids begin with that of the roll-out."""
    found = await client.get_status_by(instance_id_prefix=f"{req.route_params['id']}:")
    parts = {part.instance_id: {"status": part.runtime_status, "at": part.custom_status} for part in found}
    return func.HttpResponse(json.dumps(parts, indent=2, sort_keys=True), mimetype="application/json")


@rollouts.orchestration_trigger(context_name="context")
def roll_out(context: df.OrchestrationContext, plan: Plan) -> Generator[Any, Any, Result]:
    """Equip all sites at the same time. A site that can't be equipped does not hold up the others."""
    sites = {
        site.name: context.call_sub_orchestrator(equip_site, site, f"{context.instance_id}:{site.name}")
        for site in plan.sites
    }
    result = Result()
    for name, site in sites.items():
        try:
            result.equipped[name] = yield site
        except df.TaskFailedError as error:
            result.failed[name] = trouble_of(error)
        context.set_custom_status({"equipped": len(result.equipped), "failed": len(result.failed), "of": len(sites)})
    return result


@rollouts.orchestration_trigger(context_name="context")
def equip_site(context: df.OrchestrationContext, site: Site) -> Generator[Any, Any, dict[str, str]]:
    """Provision all devices of a site; the first that fails fails the site."""
    certificates = yield context.task_all(
        [
            context.call_sub_orchestrator(provision_device, device, f"{context.instance_id}:{device.serial}")
            for device in site.devices
        ]
    )
    return {device.serial: certificate for device, certificate in zip(site.devices, certificates, strict=True)}


def trouble_of(error: df.TaskFailedError) -> Trouble:
    """Follow a failure down to where it began."""
    origin = error.details
    while origin.inner is not None:
        origin = origin.inner
    serial = origin.properties.get("serial")
    return Trouble(chain=str(error), origin=origin.type, serial=None if serial is None else str(serial))
