"""What a caller accepts: the headers `Accept` and `Accept-Encoding` (RFC 9110, 12.4 and 12.5)."""

from __future__ import annotations

import re

_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def weights(header: str) -> dict[str, float]:
    """The weight of each value that the header lists, 0 to 1; parameters are left out.

    A value whose weight is malformed is left out, too. The first of two equal ones counts.
    """
    found: dict[str, float] = {}
    for element in header.lower().split(","):
        value, *parameters = (part.strip() for part in element.split(";"))
        weight = "1"
        for parameter in parameters:
            name, _, text = parameter.partition("=")
            if name.strip() == "q":
                weight = text.strip()
        if value and value not in found and _WEIGHT.fullmatch(weight):
            found[value] = float(weight)
    return found


def prefers(header: str, media: str, otherwise: str) -> bool:
    """Whether `Accept` names the first media type itself, and does not like the second one better.

    A pattern such as `*/*` names no type.
    """
    accepted = weights(header)
    weight = accepted.get(media, 0)
    return weight > 0 and weight >= accepted.get(otherwise, 0)


def accepts_coding(header: str | None, coding: str) -> bool:
    """Whether `Accept-Encoding` takes this content coding and does not like plain content better.

    Content without a coding is sent in all other cases, also to a caller who refuses it: a refusal
    (406) would help nobody.
    """
    accepted = weights(header or "")
    weight = accepted.get(coding, accepted.get(f"x-{coding}", accepted.get("*", 0)))
    return weight > 0 and weight >= accepted.get("identity", 0)
