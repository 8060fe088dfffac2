import json

import azure.durable_functions as df
import azure.functions as func
from fulfilment import bp as fulfilment
from reports import bp as reports

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(fulfilment)
app.register_blueprint(reports)


@app.route(route="orchestrators/{functionName}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def http_start(req: func.HttpRequest, client):
    function_name = req.route_params.get("functionName")
    payload = json.loads(req.get_body() or b"null")
    instance_id = await client.start_new(function_name, client_input=payload)
    return client.create_check_status_response(req, instance_id)
