"""Operations by their names, from plain JSON."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from core.errors import InputError
from core.operations.burn import Burn
from core.operations.clip import Clip
from core.operations.fill import Fill
from core.operations.making import Operation
from core.operations.mosaic import Mosaic
from core.operations.reproject import Reproject
from core.text import N_

OPERATIONS: dict[str, Any] = {kind.name: kind for kind in (Mosaic, Burn, Reproject, Clip, Fill)}


def operation_from(name: str, parameters: Mapping[str, Any]) -> Operation:
    """Return the operation of that name with these parameters; lists become tuples.

    Raises:
        InputError: There is no such operation or parameter, or a value that makes no sense.
    """
    kind = OPERATIONS.get(name)
    if kind is None:
        raise InputError(
            N_("There is no operation {name!r}."),
            hint=N_("There are: {known}."),
            name=name[:40],
            known=", ".join(OPERATIONS),
        )
    known = {field.name for field in fields(kind)}
    unknown = sorted(set(parameters) - known)
    if unknown:
        raise InputError(
            N_("{name} has no parameter {parameter!r}."),
            hint=N_("It has: {known}."),
            name=name,
            parameter=unknown[0][:40],
            known=", ".join(sorted(known)),
        )
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in parameters.items()
    }
    try:
        operation: Operation = kind(**values)
    except TypeError as err:  # a parameter is missing, or a text where a number should be
        raise InputError(
            N_("The parameters of {name} do not fit: {reason}."), name=name, reason=str(err)[:200]
        ) from err
    return operation
