import azure.durable_functions as df

bp = df.Blueprint()


class Balance:
    def __init__(self, amount, currency):
        self.amount = amount
        self.currency = currency

    @staticmethod
    def to_json(balance):
        return {"amount": balance.amount, "currency": balance.currency}

    @staticmethod
    def from_json(found):
        return Balance(found["amount"], found["currency"])


def entity_function(context: df.DurableEntityContext):
    balance = context.get_state(lambda: Balance(0, "EUR"), Balance)
    operation = context.operation_name
    if operation == "deposit":
        balance.amount += context.get_input(int)
    elif operation == "withdraw":
        amount = context.get_input()
        if amount > balance.amount:
            raise RuntimeError(f"only {balance.amount} {balance.currency} left")
        balance.amount -= amount
    context.set_state(balance)
    context.set_result(balance.amount)


main = df.Entity.create(entity_function)

bp.entity_trigger(context_name="context", entity_name="Account")(main.entity_function)


@bp.orchestration_trigger(context_name="context", orchestration="Transfer")
def transfer(context: df.DurableOrchestrationContext):
    order = context.get_input()
    source = df.EntityId("Account", order["from"])
    target = df.EntityId("Account", order["to"])
    try:
        left = yield context.call_entity(source, "withdraw", order["amount"])
    except Exception as e:
        return f"refused: {e}"
    there = yield context.call_entity(target, "deposit", order["amount"])
    return [left, there]


@bp.orchestration_trigger(context_name="context", orchestration="Deposit")
def deposit(context: df.DurableOrchestrationContext):
    order = context.get_input()
    balance = yield context.call_entity(df.EntityId("Account", order["to"]), "deposit", order["amount"])
    return balance
