"""Render a report with Jinja templates as Markdown or HTML.

Secure by default: every text that a template prints, even one of the user's templates, is escaped for the format of
the page. Only the template's own characters, text that it marks as safe, and the output of the filters are markup.
"""

import base64
import hashlib
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    Template,
    TemplateError,
    nodes,
    pass_environment,
)
from jinja2.compiler import CodeGenerator, Frame
from jinja2.filters import make_attrgetter
from jinja2.meta import find_referenced_templates
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from harness.errors import BadConfig, UnknownName
from harness.paths import bundled
from harness.report.page import Report, Table
from harness.report.render import escape_html, escape_markdown
from harness.report.render.stamp import stamp

FORMS = ("md", "html")
STYLE = "report.css"
# Errors that a template can raise: bad syntax, an unknown name, and any error of an expression.
_MISTAKES = (TemplateError, ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)

Picture = bytes | str  # the bytes of an SVG to embed, or the path of a file relative to the page


def render(report: Report, form: str, *, pictures: Mapping[str, Picture], own_templates: Path | None = None) -> str:
    """Render *report* as Markdown ("md") or as one HTML file ("html").

    The template is `<kind>.<form>.j2`, or else `report.<form>.j2`; one in *own_templates*, the user's folder, takes
    precedence over a shipped one. *pictures* maps chart names to SVGs; a chart without one shows its text instead.

    Raises:
        BadConfig: if the folder does not exist, or a template uses an unknown name or is not valid Jinja.
        UnknownName: if there is no such format.
    """
    if form not in FORMS:
        raise UnknownName("page format", form, FORMS)
    if own_templates is not None and not own_templates.is_dir():
        raise BadConfig(str(own_templates), ["no such folder; give one that holds templates: docs/templates.md"])
    if own_templates is not None and not any(
        path.suffix == ".j2" or path.name == STYLE for path in own_templates.iterdir()
    ):
        called = "report.md.j2, report.html.j2, or <kind>.<form>.j2"
        raise BadConfig(str(own_templates), [f"no template in it; one is called {called}: docs/templates.md"])
    names = [f"{report.kind}.{form}.j2", f"report.{form}.j2"]
    try:
        environment = _environment(form, own_templates)
        environment.globals["pictures"] = {name: _address(picture) for name, picture in pictures.items()}
        template = environment.select_template(names)
        _check_blocks(environment, template, form)
        return template.render(report=report)
    except RecursionError as error:
        problem = f"extends itself; ours is called tunebench/{names[1]}"
        raise BadConfig(str((own_templates or bundled("templates")) / names[0]), [problem]) from error
    except _MISTAKES as error:
        place, line = _place(error) or (str((own_templates or bundled("templates")) / names[0]), None)
        problem = f"{type(error).__name__}: {getattr(error, 'message', None) or error}"
        raise BadConfig(place, [f"line {line}: {problem}" if line else problem]) from error


def _check_blocks(environment: Environment, template: Template, form: str) -> None:
    """Refuse a block that the extended template does not have, since it would never be printed."""
    ours = environment.get_template(f"tunebench/report.{form}.j2")
    loader = environment.loader
    assert loader is not None, "an environment of ours has one"
    source = loader.get_source(environment, template.name or "")[0]
    extended = find_referenced_templates(environment.parse(source))
    unknown = set(template.blocks) - set(ours.blocks)
    if ours.name in extended and unknown:
        known = ", ".join(sorted(ours.blocks))
        raise BadConfig(template.filename or "", [f"no block {name!r}; there are {known}" for name in sorted(unknown)])


def _environment(form: str, own_templates: Path | None) -> Environment:
    """Set up Jinja for pages of one format, with every name that a template may use besides `report`."""
    loader = _loader(own_templates)
    filters = _MARKDOWN if form == "md" else _HTML
    inert = filters["inert"]
    environment = (_Environment if own_templates is None else _Sandboxed)(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=True,
        finalize=inert,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters, e=inert, escape=inert, forceescape=inert, join=_join, anchor=_anchor)
    style = loader.get_source(environment, STYLE)[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment.globals.update(
        style=Markup(style),  # noqa: S704 - the template's author's
        style_sha256=digest,
        of_figures=of_figures,
        first_marks=first_marks,
        has_verdicts=has_verdicts,
        stamp=lambda provenance: _IN_PLACE[form](stamp(provenance)),
    )
    return environment


class _Concatenation(CodeGenerator):
    """Compile `a ~ b` into a call of `beside`, since Jinja's own `~` always escapes for HTML."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self.write("environment.beside((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Environment(Environment):
    code_generator_class = _Concatenation

    def beside(self, parts: Iterable[object]) -> str:
        """Join *parts*: as text if all of them are text, else as markup with the texts escaped."""
        listed = list(parts)
        if not any(isinstance(part, Markup) for part in listed):
            return "".join(map(str, listed))
        return Markup().join(part if isinstance(part, Markup) else self._spaced(str(part)) for part in listed)

    def _spaced(self, text: str) -> Markup:
        """Escape *text* but keep the white space around it."""
        words = text.strip()
        leading, trailing = text.split(words, 1) if words else (text, "")
        return Markup(f"{leading}{self.filters['inert'](words)}{trailing}")  # noqa: S704 - made inert


class _Sandboxed(_Environment, ImmutableSandboxedEnvironment):
    """Environment for the user's templates, which somebody else may have written; it doubles the time of a page."""


@pass_environment
def _join(environment: _Environment, values: Iterable[object], between: str = "", attribute: str | None = None) -> str:
    """Replace Jinja's `join` filter by one that joins as `~` does."""
    value_of = make_attrgetter(environment, attribute) if attribute else (lambda value: value)
    return environment.beside([part for value in values for part in (between, value_of(value))][1:])


def _loader(own_templates: Path | None) -> BaseLoader:
    """Look templates up in the user's folder, then among ours.

    Ours are also found under "tunebench/", so that a user's template can extend ours of the same name.
    """
    ours = FileSystemLoader(bundled("templates"))
    users = [] if own_templates is None else [FileSystemLoader(own_templates)]
    return ChoiceLoader([*users, ours, PrefixLoader({"tunebench": ours})])


def of_figures(table: Table) -> tuple[bool, ...]:
    """Return for each column whether it holds figures, which are aligned right."""
    return tuple(
        any(row[place].value is not None for row in table.rows if place < len(row))
        for place in range(len(table.columns))
    )


def has_verdicts(report: Report) -> bool:
    """Return True if a table holds a verdict, so that the page needs a legend of the symbols."""
    tables = [table for section in report.sections for table in section.tables]
    return any(cell.verdict for table in tables for row in table.rows for cell in row)


def first_marks(table: Table) -> dict[int, tuple[int, int]]:
    """Map each footnote to the row and column, from 0, of the first cell that refers to it."""
    marks: dict[int, tuple[int, int]] = {}
    for at, row in enumerate(table.rows):
        for place, cell in enumerate(row):
            for note in cell.notes:
                marks.setdefault(note, (at, place))
    return marks


def _markup_filter(make: Callable[[str], str]) -> Callable[[object], Markup]:
    """Make a filter of the function *make*; it leaves markup and empty texts unchanged."""

    def markup(value: object) -> Markup:
        if isinstance(value, Markup):
            return value
        text = str(value)
        return Markup(make(text) if text else "")  # noqa: S704 - made inert

    return markup


_MARKDOWN = {
    "inert": _markup_filter(escape_markdown.inert),
    "cell": _markup_filter(escape_markdown.in_cell),
    "alt": _markup_filter(escape_markdown.in_brackets),
    "code": _markup_filter(escape_markdown.code),
    "fenced": _markup_filter(escape_markdown.fenced),
}
_HTML = {
    "inert": _markup_filter(escape_html.inert),
    "cell": _markup_filter(escape_html.inert),
    "alt": _markup_filter(escape_html.inert),
    "code": _markup_filter(escape_html.code),
    "fenced": _markup_filter(escape_html.fenced),
}

# A stamp needs no escape in a Markdown comment; in an HTML attribute its quotes are escaped like any other text.
_IN_PLACE: dict[str, Callable[[str], str]] = {"md": Markup, "html": str}


def _anchor(value: object) -> str:
    """Turn a section's name into an id that a URL can hold."""
    return "".join(
        character if character.isascii() and (character.isalnum() or character in "-_") else "-"
        for character in str(value)
    )


def _address(picture: Picture) -> Markup:
    if isinstance(picture, bytes):
        return Markup("data:image/svg+xml;base64," + base64.b64encode(picture).decode())  # noqa: S704 - letters
    return Markup(quote(picture))  # noqa: S704 - nothing in it is markup


def _place(error: BaseException) -> tuple[str, int | None] | None:
    """Return file and line of the innermost template in the traceback; None if there is no template in it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return (frames[-1].filename, frames[-1].lineno) if frames else None
