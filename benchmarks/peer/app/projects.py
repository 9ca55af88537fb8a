"""/projects"""

from collections.abc import Sequence

from fastapi import APIRouter, HTTPException
from sqlalchemy import select

from app.models import Project
from app.schemas import ProjectCreate, ProjectOut
from app.security import CurrentUser, Database

router = APIRouter(prefix="/projects", tags=["projects"])


def owned(project_id: str, user: CurrentUser, db: Database) -> Project:
    project = db.get(Project, project_id)
    if project is None or project.owner_id != user.id:
        raise HTTPException(404, "Project not found")
    return project


@router.post("/", status_code=201, response_model=ProjectOut)
def create(wanted: ProjectCreate, user: CurrentUser, db: Database) -> Project:
    project = Project(**wanted.model_dump(), owner_id=user.id)
    db.add(project)
    db.commit()
    db.refresh(project)
    return project


@router.get("/", response_model=list[ProjectOut])
def list_(user: CurrentUser, db: Database, limit: int = 20, offset: int = 0) -> Sequence[Project]:
    mine = select(Project).where(Project.owner_id == user.id)
    return db.scalars(mine.order_by(Project.created_at.desc()).limit(limit).offset(offset)).all()


@router.get("/{project_id}", response_model=ProjectOut)
def get(project_id: str, user: CurrentUser, db: Database) -> Project:
    return owned(project_id, user, db)


@router.patch("/{project_id}", response_model=ProjectOut)
def change(project_id: str, wanted: ProjectCreate, user: CurrentUser, db: Database) -> Project:
    project = owned(project_id, user, db)
    for name, value in wanted.model_dump(exclude_unset=True).items():
        setattr(project, name, value)
    db.commit()
    db.refresh(project)
    return project


@router.delete("/{project_id}", status_code=204)
def delete(project_id: str, user: CurrentUser, db: Database) -> None:
    db.delete(owned(project_id, user, db))
    db.commit()
