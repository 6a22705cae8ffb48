"""Options shared by several commands, as a dataclass: its fields are the options, the command gets an instance."""

import functools
import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, get_args, get_type_hints


def grouped(command: Callable) -> Callable:
    """Replace parameters of a command that are dataclasses by the fields of these dataclasses.

    Parameters
    ----------
    command : callable
        Command whose signature typer reads.

    Returns
    -------
    callable
        The command with all options in its signature, in the order of the fields.
    """
    hints = get_type_hints(command, include_extras=True)
    signature = inspect.signature(command)
    groups = {name: hints[name] for name in signature.parameters if is_dataclass(hints.get(name))}
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        parameters += _of_group(groups[name]) if name in groups else [_named(parameter, hints[name])]

    @functools.wraps(command)
    def with_groups(**given: Any) -> Any:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        return command(**given)

    # Options may have defaults and stand before arguments that have none, because they are given by name.
    with_groups.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_groups.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_groups


def _of_group(group):
    """The fields as parameters; `PANELS` of the dataclass says which heading of the help begins with which field."""
    hints = get_type_hints(group, include_extras=True)
    panel = None
    for field in fields(group):
        panel = group.PANELS.get(field.name, panel)
        kind, info = get_args(hints[field.name])
        option = copy(info)
        option.rich_help_panel = panel
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        hint = Annotated[kind, option]
        yield inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _named(parameter, hint):
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hint)
