"""/auth"""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.security import OAuth2PasswordRequestForm
from sqlalchemy import select

from app.models import User
from app.schemas import Token, UserCreate, UserOut
from app.security import CurrentUser, Database, create_access_token, passwords

router = APIRouter(prefix="/auth", tags=["auth"])


@router.post("/register", status_code=201, response_model=UserOut)
def register(wanted: UserCreate, db: Database) -> User:
    if db.scalar(select(User).where(User.email == wanted.email)):
        raise HTTPException(400, "Email already registered")
    user = User(email=wanted.email, hashed_password=passwords.hash(wanted.password))
    db.add(user)
    db.commit()
    db.refresh(user)
    return user


@router.post("/login")
def login(form: Annotated[OAuth2PasswordRequestForm, Depends()], db: Database) -> Token:
    user = db.scalar(select(User).where(User.email == form.username))
    if user is None or not passwords.verify(form.password, user.hashed_password):
        raise HTTPException(401, "Incorrect email or password")
    return Token(access_token=create_access_token(user.id))


@router.get("/me", response_model=UserOut)
def me(user: CurrentUser) -> User:
    return user
