"""The service that a user would otherwise write. For measuring only."""

from fastapi import FastAPI

from app import auth, deployments, environments, projects
from app.database import Base, engine

Base.metadata.create_all(engine)

app = FastAPI(title="internal developer platform API")
for part in (auth, projects, environments, deployments):
    app.include_router(part.router, prefix="/api/v1")


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}
