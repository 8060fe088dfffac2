"""The URLs that callers receive."""

from __future__ import annotations

import azure.functions as func
import pytest

from perdure.storage.memory import MemoryStorage
from perdure_functions.client import DurableOrchestrationClient
from perdure_functions.links import ManagementLinks

LINKS = ManagementLinks("api")


def request(url="https://app.example/api/go", params=None, **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return func.HttpRequest("POST", url, headers=names, params=params, body=b"")


def status_url(links=LINKS, instance_id="one", **given):
    return links.payload(request(**given), instance_id)["statusQueryGetUri"]


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({}, "https://app.example"),
        ({"X_Forwarded_Host": "front.example"}, "https://front.example"),
        ({"x_forwarded_host": "front.example:8443", "x_forwarded_proto": "http"}, "http://front.example:8443"),
        ({"X_Forwarded_Proto": "HTTP, https"}, "http://app.example"),
        ({"X_Forwarded_Host": "first.example, second.example"}, "https://first.example"),
        ({"X_Forwarded_Host": "[::1]:80"}, "https://[::1]:80"),
        ({"X_Forwarded_Host": "evil.example/path?", "X_Forwarded_Proto": "javascript"}, "https://app.example"),
        ({"X_Forwarded_Host": "", "X_Forwarded_Proto": ""}, "https://app.example"),
    ],
)
def test_the_address_is_the_callers(headers, origin):
    assert status_url(**headers) == f"{origin}/api/durabletask/instances/one"


@pytest.mark.parametrize(
    ("hostname", "origin"),
    [
        (None, "http://localhost:7071"),
        ("localhost:9000", "http://localhost:9000"),
        ("127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("myapp.azurewebsites.net", "https://myapp.azurewebsites.net"),
    ],
)
def test_without_a_request_it_is_the_apps_own(monkeypatch, hostname, origin):
    monkeypatch.delenv("WEBSITE_HOSTNAME", raising=False)
    if hostname is not None:
        monkeypatch.setenv("WEBSITE_HOSTNAME", hostname)
    assert LINKS.payload(None, "one")["purgeHistoryDeleteUri"] == f"{origin}/api/durabletask/instances/one"


@pytest.mark.parametrize(("prefix", "path"), [("", "durabletask"), ("v1/api", "v1/api/durabletask")])
def test_the_route_prefix(prefix, path):
    assert status_url(ManagementLinks(prefix)) == f"https://app.example/{path}/instances/one"


@pytest.mark.parametrize(("instance_id", "encoded"), [("a/b c", "a%2Fb%20c"), ("ü?#%", "%C3%BC%3F%23%25")])
def test_ids_are_encoded(instance_id, encoded):
    payload = LINKS.payload(request(), instance_id)
    assert payload["id"] == instance_id
    assert all(f"/instances/{encoded}" in url for name, url in payload.items() if name != "id")


@pytest.mark.parametrize(
    "given", [{"url": "https://app.example/api/go?a=1&code=k%2Fey%3D%3D"}, {"params": {"code": "k/ey==", "a": "1"}}]
)
def test_the_function_key_goes_along(given):
    payload = LINKS.payload(request(**given), "one")
    base = "https://app.example/api/durabletask/instances/one"
    assert payload == {
        "id": "one",
        "statusQueryGetUri": f"{base}?code=k%2Fey%3D%3D",
        "sendEventPostUri": f"{base}/raiseEvent/{{eventName}}?code=k%2Fey%3D%3D",
        "terminatePostUri": f"{base}/terminate?reason={{text}}&code=k%2Fey%3D%3D",
        "suspendPostUri": f"{base}/suspend?reason={{text}}&code=k%2Fey%3D%3D",
        "resumePostUri": f"{base}/resume?reason={{text}}&code=k%2Fey%3D%3D",
        "restartPostUri": f"{base}/restart?code=k%2Fey%3D%3D",
        "rewindPostUri": f"{base}/rewind?reason={{text}}&code=k%2Fey%3D%3D",
        "purgeHistoryDeleteUri": f"{base}?code=k%2Fey%3D%3D",
    }


def test_a_key_in_a_header_stays_there():
    assert "secret" not in str(LINKS.payload(request(x_functions_key="secret"), "one"))


def test_links_to_another_hub_name_it():
    links = ManagementLinks("api", {"taskHub": "Other", "connection": "Its Store"})
    url = status_url(links, params={"code": "key"})
    assert url == "https://app.example/api/durabletask/instances/one?taskHub=Other&connection=Its+Store&code=key"


def test_both_ways_to_ask_for_the_payload(monkeypatch):
    monkeypatch.setenv("WEBSITE_HOSTNAME", "own.example")
    client = DurableOrchestrationClient(MemoryStorage("Hub"))
    own, seen = "https://own.example/api/durabletask/instances/one", "https://app.example/api/durabletask/instances/one"
    assert client.create_http_management_payload("one")["statusQueryGetUri"] == own
    assert client.create_http_management_payload(instance_id="one")["statusQueryGetUri"] == own
    assert client.create_http_management_payload(None, "one")["statusQueryGetUri"] == own
    assert client.create_http_management_payload(request(), "one")["statusQueryGetUri"] == seen
    assert client.create_http_management_payload(request(), instance_id="one")["statusQueryGetUri"] == seen
    with pytest.raises(TypeError, match="takes an instance id"):
        client.create_http_management_payload(request())


async def test_a_client_without_an_app_knows_no_other_hub():
    client = DurableOrchestrationClient(MemoryStorage("Hub"))
    with pytest.raises(ValueError, match="knows no other hub"):
        await client.raise_event("one", "go", task_hub_name="Other")
