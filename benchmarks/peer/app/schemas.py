"""The request and response models."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, EmailStr, Field


class _Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class UserCreate(BaseModel):
    email: EmailStr
    password: str = Field(min_length=8, max_length=128)


class UserOut(_Out):
    id: str
    email: str
    created_at: datetime


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"


class ProjectCreate(BaseModel):
    name: str = Field(min_length=1, max_length=100)
    description: str | None = Field(None, max_length=1000)


class ProjectOut(_Out):
    id: str
    name: str
    description: str | None
    created_at: datetime


class EnvironmentCreate(BaseModel):
    name: str = Field(min_length=1, max_length=100)
    type: Literal["ephemeral", "persistent"]
    ttl_hours: int | None = Field(None, ge=1, le=720)


class EnvironmentOut(_Out):
    id: str
    project_id: str
    name: str
    type: str
    status: str
    base_url: str | None
    ttl_hours: int | None
    expires_at: datetime | None
    created_at: datetime


class DeploymentCreate(BaseModel):
    version: str = Field(min_length=1, max_length=100)


class DeploymentOut(_Out):
    id: str
    environment_id: str
    version: str
    status: str
    logs_url: str | None
    created_at: datetime
