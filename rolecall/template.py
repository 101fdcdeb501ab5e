"""Jinja2 templates, strict: a variable nobody gave is an error, never an empty string."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from rolecall.errors import ConfigError


def pbtxt(value: object) -> str:
    """Escape a value for a double-quoted string of protobuf text format."""
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return text.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def render(path: Path, **variables: Any) -> str:
    """Render the template file ``path``.

    Raises:
        ConfigError: a variable is missing, or the template is wrong, with file and line.
    """
    import jinja2

    try:
        return str(_environment(path.parent).get_template(path.name).render(variables))
    except jinja2.TemplateNotFound as error:
        raise ConfigError(f"there is no template {path.parent / str(error)}") from error
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"{error.filename or path}:{error.lineno}: {error.message}") from error
    except jinja2.UndefinedError as error:
        raise ConfigError(
            f"{path}:{_line_of(error, path)}: {error.message}",
            "pass the variable to the template, or set it in group_vars",
        ) from error
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(f"{path}:{_line_of(error, path)}: {error}") from error


@functools.cache
def _environment(folder: Path) -> Any:
    import jinja2
    from jinja2 import StrictUndefined

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["pbtxt"] = pbtxt
    return environment


def _line_of(error: Exception, path: Path) -> int:
    """The template's line in which ``error`` arose."""
    line = 1
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
