from tests.functions.driving import content

OLD_WAY = ["tea is reserved", "tea is sent by post"]
NEW_WAY = ["the customer of new is good", "coffee is reserved", "coffee is sent by courier"]


async def placed(sample, order, item):
    """Place an order and wait until it waits."""
    response = await sample.request("PUT", f"orders/{order}", raw=item.encode())
    assert response.status_code == 202, response.get_body()
    url = content(response)["statusQueryGetUri"]
    await sample.until(url, lambda status: status["customStatus"] == "waits to be packed")
    return url


async def pack(sample, order):
    assert (await sample.request("POST", f"orders/{order}/packed")).status_code == 202


async def test_a_deployment_in_the_middle_of_an_order(deploy):
    v1 = await deploy("versioned_deployment/v1")
    old = await placed(v1, "old", "tea")
    v2 = await deploy("versioned_deployment/v2")
    new = await placed(v2, "new", "coffee")
    await pack(v2, "new")
    await pack(v2, "old")
    assert await v2.completed(old) == OLD_WAY
    assert await v2.completed(new) == NEW_WAY
    assert (await v2.request("POST", "orders/old/packed")).status_code == 404


async def test_the_first_version_by_itself(deploy):
    v1 = await deploy("versioned_deployment/v1")
    old = await placed(v1, "old", "tea")
    assert (await v1.request("PUT", "orders/old", raw=b"tea")).status_code == 409
    await pack(v1, "old")
    assert await v1.completed(old) == OLD_WAY


async def test_a_deployment_that_forgets_the_version_blocks_and_a_corrected_one_continues(deploy):
    v1 = await deploy("versioned_deployment/v1")
    old = await placed(v1, "old", "tea")
    careless = await deploy("versioned_deployment/v2", edit=('old = context.version == "1.0"', "old = False"))
    await pack(careless, "old")
    status = await careless.until(old, lambda status: "reason" in status)
    assert "check_customer" in status["reason"]
    assert "reserve" in status["reason"]
    v2 = await deploy("versioned_deployment/v2")
    await pack(v2, "old")  # any message will do; without one it is tried again after a few seconds
    assert await v2.completed(old) == OLD_WAY
