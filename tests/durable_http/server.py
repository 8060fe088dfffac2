"""A server on this machine to be called."""

from __future__ import annotations

import asyncio

from aiohttp import web


class Server:
    """A server whose paths do what their names say, and that remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.polls = 0
        self.other = None
        self._stopping = asyncio.Event()

    async def start(self):
        app = web.Application()
        app.router.add_route("*", "/{what:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"

    async def stop(self):
        self._stopping.set()
        await self._runner.cleanup()

    async def _answer(self, request):  # noqa: C901, PLR0912 - a case a path
        body = await request.text()
        what = request.match_info["what"]
        self.asked.append((request.method, what, dict(request.headers), body))
        match what.split("/"):
            case ["echo"]:
                return web.json_response({"body": body, "method": request.method})
            case ["status", code]:
                return web.Response(status=int(code), text="said")
            case ["redirect", code]:
                return web.Response(status=int(code), headers={"Location": "/echo"})
            case ["away"]:
                return web.Response(status=307, headers={"Location": f"{self.other}/echo"})
            case ["nowhere"]:
                return web.Response(status=302, headers={"Location": "mailto:you@example"})
            case ["loop"]:
                return web.Response(status=302, headers={"Location": "/loop"})
            case ["slow"]:
                await self._stopping.wait()
            case ["binary"]:
                return web.Response(body=b"\xff\x00", content_type="application/octet-stream")
            case ["latin"]:
                return web.Response(body="ü".encode("latin-1"), headers={"Content-Type": "text/plain; charset=latin-1"})
            case ["large"]:
                return web.Response(body=b"x" * 2_000)
            case ["twice"]:
                response = web.Response(text="")
                response.headers.add("X-Two", "a")
                response.headers.add("X-Two", "b")
                return response
            case ["cut"]:
                response = web.StreamResponse(headers={"Content-Length": "100"})
                await response.prepare(request)
                await response.write(b"only this")
                request.transport.close()
                return response
            case ["job"]:
                return web.Response(status=202, headers={"Location": "/job/1", "Retry-After": "0"})
            case ["job", "1"]:
                self.polls += 1
                if self.polls < 3:
                    return web.Response(status=202, headers={"Location": f"{self.url}/job/1", "Retry-After": "0"})
                return web.json_response("finished")
            case ["flaky"]:
                self.polls += 1
                return web.Response(status=503 if self.polls < 3 else 200, text="at last")
        return web.Response(status=404)
