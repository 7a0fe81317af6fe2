"""Values and templates to text. The only module that imports Jinja."""

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

from harness.errors import BadConfig
from harness.paths import bundled

# What a template can do wrong: bad syntax, an unknown name, and every mistake an expression can make.
_MISTAKES = (TemplateError, ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def render(template: str, values: Mapping[str, Any], *, own_templates: Path | None = None) -> str:
    """Fill a template: the user's, if *own_templates* has one of that name, else the one that ships.

    Raises:
        BadConfig: if the template uses a name that does not exist, or is not Jinja.
    """
    folders = [bundled("templates")] if own_templates is None else [own_templates, bundled("templates")]
    environment = Environment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown; what is foreign was made inert in `markdown`
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    try:
        return environment.get_template(template).render(values)
    except _MISTAKES as error:
        own = own_templates or bundled("templates")
        place, line = _place(error) or (str(own / template), None)
        problem = f"{type(error).__name__}: {getattr(error, 'message', None) or error}"
        raise BadConfig(place, [f"line {line}: {problem}" if line else problem]) from error


def _place(error: BaseException) -> tuple[str, int | None] | None:
    """The file and line of the innermost template in the traceback; None if there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return (frames[-1].filename, frames[-1].lineno) if frames else None
