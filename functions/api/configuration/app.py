"""Variables, secrets and configurations of environments, projects and tiers.

They are a function of their own, because only they may store and read the values of secrets.
"""

from slipway.access.principal import Principal
from slipway.domain.configuration_views import (
    Configuration,
    ConfigurationDifference,
    ConfigurationLine,
    Purging,
)
from slipway.domain.ids import EnvironmentId, ProjectId
from slipway.domain.paging import Page, Paging
from slipway.domain.secret_settings import (
    ConfigurationChanged,
    NewSecret,
    Revealed,
    Secret,
    SecretChanged,
)
from slipway.domain.variables import (
    Applying,
    OfTier,
    Variable,
    VariablesChange,
    VariablesChanged,
)
from slipway.errors import (
    Busy,
    DriverFault,
    EnvironmentGoing,
    EnvironmentNotReady,
    NotFound,
    NothingLive,
    ProjectGoing,
    QueueBusy,
    QuotaExceeded,
)
from slipway.errors.configurations import NameInUse, SecretsGone
from slipway.errors.rollbacks import EnvironmentHeld
from slipway.http.app import Api
from slipway.http.routes import FORM, JSON, MERGE, TEXT
from slipway.services import configuration_texts, variables
from slipway.services.level_changes import OwnLevel, SharedLevel

api = Api()
handler = api.handler

_MEDIA = (JSON, MERGE, FORM, TEXT)
_EXPORTS = {TEXT: configuration_texts.as_dotenv, MERGE: configuration_texts.as_merge_patch}
# 200 values of 4 kB, most of whose characters are escaped.
_LIMIT = 2_000_000
# With `apply=now`.
_APPLYING = (NothingLive, EnvironmentHeld, EnvironmentNotReady, QueueBusy, QuotaExceeded)


# --- variables --------------------------------------------------------------------------------


@api.get(
    "/api/v1/environments/<environment_id>/variables",
    action="variables:read",
    refuses=(NotFound,),
    exports=_EXPORTS,
)
def list_variables(principal: Principal, environment_id: EnvironmentId) -> Page[Variable]:
    """List the variables of an environment, with those that it inherits, by name."""
    return variables.of_environment(environment_id, principal)


@api.patch(
    "/api/v1/environments/<environment_id>/variables",
    action="variables:change",
    media=_MEDIA,
    limit=_LIMIT,
    refuses=(NotFound, NameInUse, EnvironmentGoing, *_APPLYING, Busy),
)
def change_variables(
    principal: Principal,
    environment_id: EnvironmentId,
    wanted: VariablesChange,
    applying: Applying,
) -> VariablesChanged:
    """Set and remove variables of an environment."""
    return variables.change_environment(environment_id, wanted, principal, now=applying.now)


@api.get(
    "/api/v1/projects/<project_id>/variables",
    action="variables:read",
    refuses=(NotFound,),
    exports=_EXPORTS,
)
def list_variables_of_project(
    principal: Principal, project_id: ProjectId, level: OfTier
) -> Page[Variable]:
    """List the variables of a project, or those that environments of a tier inherit, by name."""
    return variables.of_project(project_id, level.tier, principal)


@api.patch(
    "/api/v1/projects/<project_id>/variables",
    action="variables:change",
    media=_MEDIA,
    limit=_LIMIT,
    refuses=(NotFound, NameInUse, ProjectGoing, Busy),
)
def change_variables_of_project(
    principal: Principal, project_id: ProjectId, wanted: VariablesChange, level: OfTier
) -> VariablesChanged:
    """Set and remove variables of a project, or of one of its tiers."""
    return variables.change_project(project_id, level.tier, wanted, principal)


# --- secrets ----------------------------------------------------------------------------------
# Imported in their routes, because most requests are about variables.


@api.get(
    "/api/v1/environments/<environment_id>/secrets", action="secrets:read", refuses=(NotFound,)
)
def list_secrets(principal: Principal, environment_id: EnvironmentId) -> Page[Secret]:
    """List the secrets of an environment, with those that it inherits, by name."""
    from slipway.services import secrets_of_levels

    return secrets_of_levels.list_(OwnLevel(environment_id, principal))


@api.put(
    "/api/v1/environments/<environment_id>/secrets/<secret>",
    action="secrets:change",
    refuses=(NotFound, NameInUse, EnvironmentGoing, *_APPLYING, Busy, DriverFault),
)
def set_secret(
    principal: Principal,
    environment_id: EnvironmentId,
    secret: str,
    wanted: NewSecret,
    applying: Applying,
) -> SecretChanged:
    """Set a secret of an environment."""
    from slipway.services import secrets_of_levels

    target = OwnLevel(environment_id, principal, now=applying.now)
    return secrets_of_levels.set_(target, secret, wanted)


@api.delete(
    "/api/v1/environments/<environment_id>/secrets/<secret>",
    action="secrets:change",
    refuses=(NotFound, EnvironmentGoing, *_APPLYING, Busy),
)
def remove_secret(
    principal: Principal, environment_id: EnvironmentId, secret: str, applying: Applying
) -> ConfigurationChanged:
    """Remove a secret of an environment. Earlier configurations keep it until it is purged."""
    from slipway.services import secrets_of_levels

    return secrets_of_levels.remove(OwnLevel(environment_id, principal, now=applying.now), secret)


@api.post(
    "/api/v1/environments/<environment_id>/secrets/<secret>/reveal",
    action="secrets:reveal",
    # A stored answer would have the value.
    replays=False,
    refuses=(NotFound, SecretsGone, DriverFault),
)
def reveal_secret(principal: Principal, environment_id: EnvironmentId, secret: str) -> Revealed:
    """Read the value of a secret of an environment, or of one that it inherits. It is audited."""
    from slipway.services import secrets_of_levels

    return secrets_of_levels.reveal(OwnLevel(environment_id, principal), secret)


@api.get("/api/v1/projects/<project_id>/secrets", action="secrets:read", refuses=(NotFound,))
def list_secrets_of_project(
    principal: Principal, project_id: ProjectId, level: OfTier
) -> Page[Secret]:
    """List the secrets of a project, or those that environments of a tier inherit, by name."""
    from slipway.services import secrets_of_levels

    return secrets_of_levels.list_(SharedLevel(project_id, level.tier, principal))


@api.put(
    "/api/v1/projects/<project_id>/secrets/<secret>",
    action="secrets:change",
    refuses=(NotFound, NameInUse, ProjectGoing, Busy, DriverFault),
)
def set_secret_of_project(
    principal: Principal, project_id: ProjectId, secret: str, wanted: NewSecret, level: OfTier
) -> SecretChanged:
    """Set a secret of a project, or of one of its tiers."""
    from slipway.services import secrets_of_levels

    return secrets_of_levels.set_(SharedLevel(project_id, level.tier, principal), secret, wanted)


@api.delete(
    "/api/v1/projects/<project_id>/secrets/<secret>",
    action="secrets:change",
    refuses=(NotFound, ProjectGoing, Busy),
)
def remove_secret_of_project(
    principal: Principal, project_id: ProjectId, secret: str, level: OfTier
) -> ConfigurationChanged:
    """Remove a secret of a project, or of one of its tiers."""
    from slipway.services import secrets_of_levels

    return secrets_of_levels.remove(SharedLevel(project_id, level.tier, principal), secret)


@api.post(
    "/api/v1/projects/<project_id>/secrets/<secret>/reveal",
    action="secrets:reveal",
    # A stored answer would have the value.
    replays=False,
    refuses=(NotFound, SecretsGone, DriverFault),
)
def reveal_secret_of_project(
    principal: Principal, project_id: ProjectId, secret: str, level: OfTier
) -> Revealed:
    """Read the value of a secret of a project, or of one of its tiers. It is audited."""
    from slipway.services import secrets_of_levels

    return secrets_of_levels.reveal(SharedLevel(project_id, level.tier, principal), secret)


# --- configurations ---------------------------------------------------------------------------


@api.get(
    "/api/v1/environments/<environment_id>/configurations",
    action="configurations:read",
    refuses=(NotFound,),
)
def list_configurations(
    principal: Principal, environment_id: EnvironmentId, paging: Paging
) -> Page[ConfigurationLine]:
    """List the configurations that an environment has had, newest first."""
    from slipway.services import configuration_history

    return configuration_history.list_(environment_id, principal, paging)


@api.get(
    "/api/v1/environments/<environment_id>/configurations/<number>",
    action="configurations:read",
    refuses=(NotFound,),
)
def get_configuration(
    principal: Principal, environment_id: EnvironmentId, number: str
) -> Configuration:
    """Read a configuration of an environment by its number."""
    from slipway.services import configuration_history

    return configuration_history.get(environment_id, number, principal)


@api.get(
    "/api/v1/environments/<environment_id>/configurations/<number>/diff/<other>",
    action="configurations:read",
    refuses=(NotFound,),
)
def compare_configurations(
    principal: Principal, environment_id: EnvironmentId, number: str, other: str, paging: Paging
) -> Page[ConfigurationDifference]:
    """List what becomes of each name from one configuration to another. 0 is before the first."""
    from slipway.services import configuration_history

    return configuration_history.diff(environment_id, number, other, principal, paging)


@api.post(
    "/api/v1/environments/<environment_id>/configurations/<number>/restore",
    action="configurations:restore",
    refuses=(NotFound, SecretsGone, EnvironmentGoing, *_APPLYING, Busy),
)
def restore_configuration(
    principal: Principal, environment_id: EnvironmentId, number: str, applying: Applying
) -> ConfigurationChanged:
    """Make a new configuration with the content of an earlier one."""
    from slipway.services import configuration_history

    target = OwnLevel(environment_id, principal, now=applying.now)
    return configuration_history.restore(target, number)


@api.post(
    "/api/v1/environments/<environment_id>/configurations/purge",
    action="configurations:purge",
    refuses=(NotFound, EnvironmentGoing, Busy, DriverFault),
)
def purge_configurations(
    principal: Principal, environment_id: EnvironmentId, wanted: Purging
) -> ConfigurationChanged:
    """Remove a value from an environment and from all its configurations."""
    from slipway.services import configuration_history

    return configuration_history.purge(OwnLevel(environment_id, principal), wanted.name)


@api.post(
    "/api/v1/projects/<project_id>/configurations/purge",
    action="configurations:purge",
    refuses=(NotFound, ProjectGoing, Busy, DriverFault),
)
def purge_configurations_of_project(
    principal: Principal, project_id: ProjectId, wanted: Purging, level: OfTier
) -> ConfigurationChanged:
    """Remove a value from a project or a tier, and from all configurations that inherited it."""
    from slipway.services import configuration_history

    target = SharedLevel(project_id, level.tier, principal)
    return configuration_history.purge(target, wanted.name)
