"""/deployments"""

import time
from collections.abc import Sequence

from fastapi import APIRouter, BackgroundTasks, HTTPException
from sqlalchemy import select

from app.database import SessionLocal
from app.environments import SECONDS, allowed
from app.models import Deployment
from app.schemas import DeploymentCreate, DeploymentOut
from app.security import CurrentUser, Database

router = APIRouter(prefix="/deployments", tags=["deployments"])


def roll_out(deployment_id: str) -> None:
    _move(deployment_id, "running")
    time.sleep(SECONDS)
    _move(deployment_id, "succeeded")


def _move(deployment_id: str, status: str) -> None:
    with SessionLocal() as db:
        deployment = db.get(Deployment, deployment_id)
        if deployment:
            deployment.status = status
            deployment.logs_url = f"https://logs.example.com/{deployment_id}"
            db.commit()


@router.post("/environments/{environment_id}", status_code=201, response_model=DeploymentOut)
def create(
    environment_id: str,
    wanted: DeploymentCreate,
    user: CurrentUser,
    db: Database,
    background: BackgroundTasks,
) -> Deployment:
    environment = allowed(environment_id, user, db)
    deployment = Deployment(version=wanted.version, environment_id=environment.id)
    db.add(deployment)
    db.commit()
    db.refresh(deployment)
    background.add_task(roll_out, deployment.id)
    return deployment


@router.get("/environments/{environment_id}", response_model=list[DeploymentOut])
def list_(
    environment_id: str, user: CurrentUser, db: Database, limit: int = 20, offset: int = 0
) -> Sequence[Deployment]:
    environment = allowed(environment_id, user, db)
    of_environment = select(Deployment).where(Deployment.environment_id == environment.id)
    return db.scalars(
        of_environment.order_by(Deployment.created_at.desc()).limit(limit).offset(offset)
    ).all()


@router.get("/{deployment_id}", response_model=DeploymentOut)
def get(deployment_id: str, user: CurrentUser, db: Database) -> Deployment:
    deployment = db.get(Deployment, deployment_id)
    if deployment is None or deployment.environment.project.owner_id != user.id:
        raise HTTPException(404, "Deployment not found")
    return deployment
