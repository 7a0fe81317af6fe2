"""Reports and templates to text. The only module that imports Jinja.

Secure by default: a text that a template prints is made inert for the page's format, the user's template included.
Only what a template itself spells, or marks as safe, and what these filters typeset, is markup.
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
from markupsafe import Markup, escape

from harness.errors import BadConfig, UnknownName
from harness.paths import bundled
from harness.plain_text import visible
from harness.report.page import Report, Table
from harness.report.render import escape_markdown
from harness.report.render.stamp import stamp

FORMS = ("md", "html")
STYLE = "report.css"
# What a template can do wrong: bad syntax, an unknown name, and every mistake an expression can make.
_MISTAKES = (TemplateError, ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)

Picture = bytes | str  # the file's bytes, to be held by the page; or its path relative to the page


def render(report: Report, form: str, *, pictures: Mapping[str, Picture], own_templates: Path | None = None) -> str:
    """Write *report* as Markdown ("md") or as one HTML file ("html").

    The template is `<kind>.<form>.j2`, else `report.<form>.j2`: the user's if *own_templates* has it, else the one
    that ships. *pictures* are SVGs by their chart's name; a chart without one shows what it says in words.

    Raises:
        BadConfig: if there is no such folder, or a template uses a name that does not exist or is not Jinja.
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
        told = f"extends itself; ours is called tunebench/{names[1]}"
        raise BadConfig(str((own_templates or bundled("templates")) / names[0]), [told]) from error
    except _MISTAKES as error:
        place, line = _place(error) or (str((own_templates or bundled("templates")) / names[0]), None)
        problem = f"{type(error).__name__}: {getattr(error, 'message', None) or error}"
        raise BadConfig(place, [f"line {line}: {problem}" if line else problem]) from error


def _check_blocks(environment: Environment, template: Template, form: str) -> None:
    """Refuse a block that the template it extends has not: it would never be shown."""
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
    """Jinja for pages of one format, with every name a template may use besides `report`."""
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
    """Hands `a ~ b` to the environment: Jinja's own escapes a text beside markup for HTML, whatever the page is."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self.write("environment.beside((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Environment(Environment):
    code_generator_class = _Concatenation

    def beside(self, parts: Iterable[object]) -> str:
        """Put *parts* together: as text if all are, else as markup in which the texts are inert."""
        listed = list(parts)
        if not any(isinstance(part, Markup) for part in listed):
            return "".join(map(str, listed))
        return Markup().join(part if isinstance(part, Markup) else self._spaced(str(part)) for part in listed)

    def _spaced(self, text: str) -> Markup:
        """Make *text* inert between the spaces it is to keep."""
        words = text.strip()
        before, after = text.split(words, 1) if words else (text, "")
        return Markup(f"{before}{self.filters['inert'](words)}{after}")  # noqa: S704 - made inert


class _Sandboxed(_Environment, ImmutableSandboxedEnvironment):
    """For the user's templates, which may be another's; of a large page it doubles the time."""


@pass_environment
def _join(environment: _Environment, values: Iterable[object], between: str = "", attribute: str | None = None) -> str:
    """Jinja's filter, with `~`."""
    of = make_attrgetter(environment, attribute) if attribute else (lambda value: value)
    return environment.beside([part for value in values for part in (between, of(value))][1:])


def _loader(own_templates: Path | None) -> BaseLoader:
    """The user's templates, then ours; ours under "tunebench/" too, so that one of his can extend its namesake."""
    ours = FileSystemLoader(bundled("templates"))
    own = [] if own_templates is None else [FileSystemLoader(own_templates)]
    return ChoiceLoader([*own, ours, PrefixLoader({"tunebench": ours})])


def of_figures(table: Table) -> tuple[bool, ...]:
    """Whether a column holds figures, for each: those stand at the right."""
    return tuple(
        any(row[place].value is not None for row in table.rows if place < len(row))
        for place in range(len(table.columns))
    )


def has_verdicts(report: Report) -> bool:
    """Whether any table holds a verdict, so that its symbols need a legend."""
    tables = [table for section in report.sections for table in section.tables]
    return any(cell.verdict for table in tables for row in table.rows for cell in row)


def first_marks(table: Table) -> dict[int, tuple[int, int]]:
    """The first cell, by row and column from 0, that has a footnote's mark."""
    found: dict[int, tuple[int, int]] = {}
    for at, row in enumerate(table.rows):
        for place, cell in enumerate(row):
            for note in cell.notes:
                found.setdefault(note, (at, place))
    return found


def _made(make: Callable[[str], str]) -> Callable[[object], Markup]:
    """A filter that makes markup of any value, and leaves alone what is markup already. Nothing stays nothing."""

    def markup(value: object) -> Markup:
        if isinstance(value, Markup):
            return value
        text = str(value)
        return Markup(make(text) if text else "")  # noqa: S704 - made inert

    return markup


def _shown(text: str) -> str:
    return str(escape(visible(text)))


_MARKDOWN = {
    "inert": _made(escape_markdown.inert),
    "cell": _made(escape_markdown.in_cell),
    "alt": _made(escape_markdown.in_brackets),
    "code": _made(escape_markdown.code),
    "fenced": _made(escape_markdown.fenced),
}
_HTML = {
    "inert": _made(_shown),
    "cell": _made(_shown),
    "alt": _made(_shown),
    "code": _made(lambda text: f"<code>{_shown(text)}</code>"),
    "fenced": _made(lambda text: f"<pre>\n{_shown(text)}</pre>"),  # a first line break is not shown
}

# A stamp is made to stand in a comment as it is; in an attribute its quotes are escaped like any other's.
_IN_PLACE: dict[str, Callable[[str], str]] = {"md": Markup, "html": str}


def _anchor(value: object) -> str:
    """A section's name as an id: what an address can hold."""
    return "".join(its if its.isascii() and (its.isalnum() or its in "-_") else "-" for its in str(value))


def _address(picture: Picture) -> Markup:
    if isinstance(picture, bytes):
        return Markup("data:image/svg+xml;base64," + base64.b64encode(picture).decode())  # noqa: S704 - letters
    return Markup(quote(picture))  # noqa: S704 - nothing in it is markup


def _place(error: BaseException) -> tuple[str, int | None] | None:
    """The file and line of the innermost template in the traceback; None if there is none."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return (frames[-1].filename, frames[-1].lineno) if frames else None
