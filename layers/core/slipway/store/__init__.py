"""The only code that reads and writes the table. Its keys:

| pattern                                        | pk            | sk                        |
| ---------------------------------------------- | ------------- | ------------------------- |
| sign in by e-mail (unique)                     | EMAIL#<email> | EMAIL                     |
| guesses at accounts, from addresses, in a window | ATTEMPTS#<keyed hash>#… | ATTEMPTS      |
| an address that an account's owner signs in from | ATTEMPTS#<keyed hash>   | KNOWN         |
| a user's account                               | ACCOUNT#<u>   | ACCOUNT                   |
| all users, newest first                        | ACCOUNT#ALL   | USER#<u>                  |
| the number of active administrators            | ACCOUNT#ALL   | ADMINISTRATORS            |
| invitations, one for an address (and project)  | INVITE#ALL    | INVITE#<id>               |
| a registration whose address is not proven     | REGISTRATION#<hash> | REGISTRATION        |
| a session: its refresh token, whether it ended | ACCOUNT#<u>   | FAMILY#<session>          |
| a user's tokens for programs, newest first     | ACCOUNT#<u>   | TOKEN#<t>                 |
| when a token was last used, on which day       | RATE#<u>      | TOKEN#<t>                 |
| links that set a new password                  | RESET#<hash>  | RESET                     |
| a sign-in on a device, by the code's keyed hash | DEVICE#<hash> | DEVICE                   |
| a user's projects, newest first, with role     | USER#<u>      | PROJECT#<p>               |
| project names, unique for their owner          | USER#<u>      | NAME#<normalised>         |
| a project                                      | PROJECT#<p>   | PROJECT                   |
| that a project was deleted, until its rest goes | PROJECT#<p>  | ENDED                     |
| a project's members                            | PROJECT#<p>   | MEMBER#<u>                |
| a project's trusts, which are members too      | PROJECT#<p>   | MEMBER#trs_<p>_<t>        |
| trusts, by issuer and the workload's identity  | TRUST#<hash>  | TRUST#<project id>#<hash> |
| an issuer's public keys, and readings of them  | ISSUER#<hash> | ISSUER, READS#<minute>    |
| a seat for somebody who is invited             | PROJECT#<p>   | INVITED#<invitation id>   |
| a project's environments, newest first         | PROJECT#<p>   | ENV#<e>                   |
| environment names, unique in their project     | PROJECT#<p>   | NAME#<normalised>         |
| a project's pipeline: the stages, in order     | PROJECT#<p>   | PIPELINE                  |
| external ids, unique in their project          | PROJECT#<p>   | EXTERNAL#<external id>    |
| an environment's lease (what TTL deletes)      | ENV#<e>       | LEASE                     |
| clean-up record of secret inputs               | ENV#<e>       | SECRETS, SECRETS#<update> |
| variables of a project or a tier, in slices    | PROJECT#<p>   | CONFIG#<project or tier>#<n> |
| variables of an environment itself, in slices  | ENV#<e>       | CONFIG#<n>                |
| an environment's configurations, newest first  | ENV#<e>       | CONFIGURATION#<number>    |
| the content of a configuration, in slices      | ENV#<e>       | CONFIGURED#<number>#<n>   |
| clean-up record of a plan's stack              | PLAN#<digest> | PLAN#<note>               |
| an environment's last drift detection          | ENV#<e>       | DRIFT                     |
| the rollout lock, until the environment ends   | ENV#<e>       | LOCK                      |
| deployments that wait, in order                | ENV#<e>       | QUEUE#<d>                 |
| where an environment's functions write logs    | SOURCES#<e>   | SOURCES                   |
| an environment's deployments, newest first     | ENV#<e>       | DEP#<d>                   |
| an environment's events, newest first          | ENV#<e>       | EVENT#<at>#<id>           |
| the steps of a rollout that has ended          | DEP#<d>       | TIMELINE                  |
| a rollout's log lines, oldest first            | DEP#<d>       | LOG#<ts>#<step>#<n>       |
| an environment's log lines, oldest first       | ENV#<e>       | LOG#<ts>#<step>#<n>       |
| a template (name unique)                       | TEMPLATES     | TEMPLATE#<name>           |
| a template's versions, newest first            | TEMPLATE#<n>  | VERSION#<major>.<minor>   |
| the environments that use a template           | TEMPLATE#<n>  | USED#<environment id>     |
| an audit's entries; their copies until linked  | AUDIT#<p>, UNLINKED#<p> | ENTRY#<at>#<id> |
| an audit's chain (slipway.store.audit_keys)    | CHAIN#<p>     | LINK#<n>, HEAD, …         |
| the public keys that verify tokens             | KEYS          | KEY#<kid>                 |
| idempotency marks of requests                  | IDEMPOTENCY#… | DONE#<hash of the key>    |
| whether reconcile's rule is on                 | CLOCK         | CLOCK                     |
| requests that wait for a change, with callers  | WAITS         | WAITS                     |
| requests of a caller in a minute               | RATE#<u>      | RATE#<minute>             |
| counters of a user's things, and of versions   | QUOTA#<u, n>  | PROJECTS, …, VERSIONS     |
| slots in use of a user's or a project's quota  | QUOTA#<u, p>  | <kind>#<number>           |

Only the functions auth and people may write accounts, and read the items of EMAIL#, INVITE# and
RESET#; auth alone may write keys and ISSUER#, and read REGISTRATION#, DEVICE# and ATTEMPTS#
(policies/*_boundary.yaml).

The index `due` (due / due_at, keys only) holds records with a deadline: slipway.store.deadlines.
The index `listed` (listed / listed_at, whole items) holds what lists show: slipway.store.listed:

| list                                           | listed          | listed_at |
| ---------------------------------------------- | --------------- | --------- |
| a project's environments, except destroyed ones | LIVE#<p>       | <e>       |
| a project's deployments                        | DEPLOYMENTS#<p> | <d>       |

How long each kind of item is kept is in docs/retention.md; slipway.store.lifetimes has the rule.
The rule of reconcile is described in slipway.services.reconcile_schedule.
"""
