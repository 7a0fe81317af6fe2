"""Warnings about runs that are compared although they were made with different versions of MLX or mlx-lm.

Only minor versions count: they change defaults and kernels. A patch release of MLX may change them too, but most do
not.
"""

from collections.abc import Sequence

from harness.results.records import Bundle

LIBRARIES = ("mlx-lm", "mlx")
_UNKNOWN = "unknown"


def version_warnings(bundles: Sequence[Bundle]) -> tuple[str, ...]:
    """Return one sentence for each library whose minor version differs between runs, or is unknown in some of them."""
    versions = {library: _versions(library, bundles) for library in LIBRARIES}
    return tuple(
        f"different versions of {library}: {', '.join(f'{run} {version}' for run, version in pairs)}; "
        "a difference between these runs may be the library's"
        for library, pairs in versions.items()
        if len({_minor(version) for _, version in pairs}) > 1
    )


def _versions(library: str, bundles: Sequence[Bundle]) -> list[tuple[str, str]]:
    """Pair each run's id with its version of *library*."""
    return [
        (bundle.run.id, (bundle.environment and bundle.environment.packages.get(library)) or _UNKNOWN)
        for bundle in bundles
    ]


def _minor(version: str) -> tuple[str, ...]:
    """Return the first two numbers of a version."""
    return tuple(version.split(".")[:2])
