"""/environments"""

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, BackgroundTasks, HTTPException
from sqlalchemy import select

from app.database import SessionLocal
from app.models import Environment
from app.projects import owned
from app.schemas import EnvironmentCreate, EnvironmentOut
from app.security import CurrentUser, Database

router = APIRouter(prefix="/environments", tags=["environments"])
SECONDS = float(os.environ.get("SIMULATED_SECONDS", "2"))


def provision(environment_id: str) -> None:
    time.sleep(SECONDS)
    with SessionLocal() as db:
        environment = db.get(Environment, environment_id)
        if environment and environment.status == "provisioning":
            environment.status = "running"
            environment.base_url = f"https://{environment.name}.example.com"
            db.commit()


@router.post("/projects/{project_id}", status_code=201, response_model=EnvironmentOut)
def create(
    project_id: str,
    wanted: EnvironmentCreate,
    user: CurrentUser,
    db: Database,
    background: BackgroundTasks,
) -> Environment:
    project = owned(project_id, user, db)
    environment = Environment(**wanted.model_dump(), project_id=project.id)
    if wanted.type == "ephemeral":
        environment.ttl_hours = wanted.ttl_hours or 24
        environment.expires_at = datetime.now(UTC) + timedelta(hours=environment.ttl_hours)
    db.add(environment)
    db.commit()
    db.refresh(environment)
    background.add_task(provision, environment.id)
    return environment


@router.get("/projects/{project_id}", response_model=list[EnvironmentOut])
def list_(
    project_id: str, user: CurrentUser, db: Database, limit: int = 20, offset: int = 0
) -> Sequence[Environment]:
    project = owned(project_id, user, db)
    of_project = select(Environment).where(Environment.project_id == project.id)
    return db.scalars(
        of_project.order_by(Environment.created_at.desc()).limit(limit).offset(offset)
    ).all()


def allowed(environment_id: str, user: CurrentUser, db: Database) -> Environment:
    environment = db.get(Environment, environment_id)
    if environment is None or environment.project.owner_id != user.id:
        raise HTTPException(404, "Environment not found")
    return environment


@router.get("/{environment_id}", response_model=EnvironmentOut)
def get(environment_id: str, user: CurrentUser, db: Database) -> Environment:
    return allowed(environment_id, user, db)


@router.delete("/{environment_id}", status_code=204)
def delete(environment_id: str, user: CurrentUser, db: Database) -> None:
    db.delete(allowed(environment_id, user, db))
    db.commit()
