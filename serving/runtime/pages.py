"""The pages that people open: the OpenAPI document, and Swagger UI to try it in a browser.

Swagger UI comes from a package, not from a CDN: browsers that see a cluster often see nothing else.
"""

import functools
from collections.abc import Callable

import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route
from swagger_ui_bundle import swagger_ui_path

from serving import openapi
from serving.plane import Plane

ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js")
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<link rel="stylesheet" href="{root}/docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="{root}/docs/swagger-ui-bundle.js"></script>
<script>
SwaggerUIBundle({{url: "{root}/openapi.json", dom_id: "#page", tryItOutEnabled: true}})
</script>
</body>
</html>
"""


def routes(plane: Callable[[], Plane]) -> list[Route]:
    """The pages, at MLServer's addresses and the usual ones; `plane` raises until loaded."""

    @functools.cache
    def document() -> bytes:
        loaded = plane()
        manifest = loaded.manifest
        return orjson.dumps(
            openapi.document(
                loaded.contract,
                manifest.model_name,
                str(manifest.version),
                loaded.golden.rows[0],
            )
        )

    async def described(_: Request) -> Response:
        return Response(document(), media_type="application/json")

    async def docs(request: Request) -> Response:
        manifest = plane().manifest
        title = f"{manifest.model_name} {manifest.version}"
        return HTMLResponse(PAGE.format(title=title, root=request.scope.get("root_path", "")))

    async def asset(request: Request) -> Response:
        return FileResponse(swagger_ui_path / request.url.path.rpartition("/")[2])

    return [
        *(Route(path, described) for path in ("/openapi.json", "/v2/docs/dataplane.json")),
        *(Route(path, docs) for path in ("/docs", "/v2/docs")),
        *(Route(f"/docs/{name}", asset) for name in ASSETS),
    ]
