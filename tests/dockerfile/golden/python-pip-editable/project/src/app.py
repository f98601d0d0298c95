import settings
from starlette.applications import Starlette

app: Starlette = Starlette(debug=settings.DEBUG)
