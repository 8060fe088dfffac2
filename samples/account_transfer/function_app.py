"""A transfer between accounts: two entities change together, and nobody sees them in between.

An operation of one entity is atomic by itself. What spans several is done in a critical section: they are locked, and
until they are unlocked nobody else is served by them.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated

import azure.functions as func
from pydantic import BaseModel, Field, ValidationError

import perdure_functions as df

app = df.DFApp()

Money = Annotated[Decimal, Field(gt=0, decimal_places=2)]
Name = Annotated[str, Field(min_length=1, max_length=100)]


class RefusedError(Exception):
    """An account says no."""


class Holdings(BaseModel):
    """The state of an account."""

    balance: Decimal = Decimal(0)
    frozen: bool = False


class Deposit(BaseModel):
    """Money that comes from outside."""

    amount: Money


class Transfer(BaseModel):
    """The input of `transfer`."""

    source: Name
    target: Name
    amount: Money


class Outcome(BaseModel):
    """How it ended."""

    done: bool
    why: str | None = None
    """Why it is not done."""


# ---- the accounts -------------------------------------------------------------------------------------------------


@app.entity_trigger(context_name="context")
class Account(df.DurableEntity):
    """An account; its owner's name is the key. What it refuses has changed nothing."""

    state: Holdings

    async def deposit(self, amount: Decimal) -> Decimal:
        """Take money in; return the balance."""
        if self.state.frozen:
            raise RefusedError(f"the account of {self.entity_id.key} is frozen")
        self.state.balance += amount
        return self.state.balance

    async def withdraw(self, amount: Decimal) -> Decimal:
        """Give money out; return the balance."""
        if self.state.frozen:
            raise RefusedError(f"the account of {self.entity_id.key} is frozen")
        if amount > self.state.balance:
            raise RefusedError(f"{self.entity_id.key} has only {self.state.balance}")
        self.state.balance -= amount
        return self.state.balance

    async def give_back(self, amount: Decimal) -> None:
        """Take back what has been given out in vain, frozen or not."""
        self.state.balance += amount

    async def balance(self) -> Decimal:
        """Return the balance."""
        return self.state.balance

    def freeze(self) -> None:
        """Refuse everything from now on."""
        self.state.frozen = True

    def thaw(self) -> None:
        """Go on as before."""
        self.state.frozen = False


# ---- critical sections --------------------------------------------------------------------------------------------


@app.orchestration_trigger(context_name="context")
async def transfer(context: df.OrchestrationContext, order: Transfer) -> Outcome:
    """Move money from one account to another, or leave both as they are.

    The section keeps others from seeing or changing the two in between. It does not undo what has been done in it when
    something fails: that is the orchestration's own business, as in a saga.
    """
    source, target = context.entity(Account, order.source), context.entity(Account, order.target)
    async with context.lock_entities([df.EntityId("Account", order.source), df.EntityId("Account", order.target)]):
        try:
            await source.withdraw(order.amount)
        except df.TaskFailedError as refused:
            return Outcome(done=False, why=refused.message)
        try:
            await target.deposit(order.amount)
        except df.TaskFailedError as refused:
            await source.give_back(order.amount)
            return Outcome(done=False, why=refused.message)
    return Outcome(done=True)


@app.orchestration_trigger(context_name="context")
async def audit(context: df.OrchestrationContext, names: list[str]) -> Decimal:
    """Add up accounts as they are at one moment: no transfer is half done in the sum."""
    async with context.lock_entities([df.EntityId("Account", name) for name in names]):
        balances = await context.task_all(
            [context.call_entity(df.EntityId("Account", name), "balance") for name in names]
        )
    return sum(balances, Decimal(0))


# ---- the API ------------------------------------------------------------------------------------------------------


@app.route(route="transfers", methods=["POST"])
@app.durable_client_input(client_name="client")
async def order_transfer(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Order a transfer; the body is a `Transfer`."""
    try:
        order = Transfer.model_validate_json(req.get_body())
    except ValidationError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    return client.create_check_status_response(req, await client.start_new(transfer, client_input=order))


@app.route(route="accounts/{name}/deposits", methods=["POST"])
@app.durable_client_input(client_name="client")
async def pay_in(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Pay money in; the body is a `Deposit`."""
    try:
        deposit = Deposit.model_validate_json(req.get_body())
    except ValidationError as error:
        return func.HttpResponse(f"{error}\n", status_code=400)
    await client.signal_entity(df.EntityId("Account", req.route_params["name"]), "deposit", deposit.amount)
    return func.HttpResponse(status_code=202)


@app.route(route="accounts/{name}/{command:regex(^(freeze|thaw)$)}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def command(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Freeze an account, or thaw it. While a transfer has it locked this waits."""
    await client.signal_entity(df.EntityId("Account", req.route_params["name"]), req.route_params["command"])
    return func.HttpResponse(status_code=202)


@app.route(route="accounts", methods=["GET"])
@app.durable_client_input(client_name="client")
async def list_accounts(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:  # noqa: ARG001 - the host hands it over
    """Tell the balances, and whose transfer has an account locked. Reading waits for no lock."""
    page = await client.list_entities("Account", include_state=True, top=1_000)
    accounts = [
        {"name": each.id.key, "balance": str(each.get_state(Holdings).balance), "lockedBy": each.locked_by}
        for each in page
    ]
    return func.HttpResponse(json.dumps(accounts), mimetype="application/json")
