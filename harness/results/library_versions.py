"""Runs that were made with different libraries: they are compared, and what is said of them says so. Pure.

A minor version changes defaults and kernels; a patch of MLX may, too, but most change nothing here.
"""

from collections.abc import Sequence

from harness.results.records import Bundle

LIBRARIES = ("mlx-lm", "mlx")
_UNKNOWN = "unknown"


def version_warnings(bundles: Sequence[Bundle]) -> tuple[str, ...]:
    """A sentence for each library of which the runs had different minor versions, or not all tell theirs."""
    found = {library: _versions(library, bundles) for library in LIBRARIES}
    return tuple(
        f"different versions of {library}: {', '.join(f'{run} {version}' for run, version in its)}; "
        "a difference between these runs may be the library's"
        for library, its in found.items()
        if len({_minor(version) for _, version in its}) > 1
    )


def _versions(library: str, bundles: Sequence[Bundle]) -> list[tuple[str, str]]:
    """Each run with its version of *library*."""
    return [(its.run.id, (its.environment and its.environment.packages.get(library)) or _UNKNOWN) for its in bundles]


def _minor(version: str) -> tuple[str, ...]:
    """The first two numbers of a version."""
    return tuple(version.split(".")[:2])
