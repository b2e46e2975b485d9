"""Where this machine gets its packages from, and the same place with other suites.

Both formats of apt are read, one-line (``*.list``) and deb822 (``*.sources``), as sources.list(5)
describes them.  The lab asks the machine's own Debian mirror for kernels of other suites, so
nothing but the suite is ours: address, key and options stay those that the owner chose.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tools.lab.errors import MissingError

ETC_APT: Final = Path("/etc/apt")
ADVICE: Final = "pass a kernel of your own with --vmlinuz FILE --modules DIR"
# Named as machines name them: caches between here and the archive keep those fresh, and were seen
# to answer for "stable-backports" with what it was weeks ago.
KERNEL_SUITES: Final = ("trixie-backports", "forky", "sid", "experimental")
# Options of a line that belong to the address; what selects architectures or indexes does not.
_KEPT: Final = ("signed-by", "trusted", "check-valid-until", "check-date", "snapshot")
_DEBIAN: Final = re.compile(r"/debian(\.list)?(/|$)")
_ONE_LINE: Final = re.compile(r"^(deb)\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+\S+)*)$")


@dataclass(frozen=True, slots=True)
class Source:
    """One entry for binary packages.  options: deb822 field names in lower case."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)

    def with_suites(self, suites: Iterable[str]) -> Source:
        """The same place, other suites."""
        return Source(self.uris, tuple(suites), self.components, self.options)

    def text(self) -> str:
        """As a deb822 stanza."""
        lines = [
            "Types: deb",
            f"URIs: {' '.join(self.uris)}",
            f"Suites: {' '.join(self.suites)}",
            f"Components: {' '.join(self.components)}",
        ]
        for name, value in self.options.items():
            # A key may be given inline, over several lines; a blank one is written as a dot.
            lines.append(f"{name.title()}: {value}")
        return "\n".join(lines) + "\n"


def parse_one_line(text: str) -> list[Source]:
    """Entries of a ``*.list`` file; deb-src lines and comments are left out."""
    found = []
    for raw in text.splitlines():
        match = _ONE_LINE.match(raw.split("#", 1)[0].strip())
        if match is None:
            continue
        _, bracket, uri, suite, components = match.groups()
        options: dict[str, str] = {}
        for word in shlex.split(bracket or ""):
            name, _, value = word.partition("=")
            if name.lower() in _KEPT:
                options[name.lower()] = value.replace(",", " ")
        found.append(Source((uri,), (suite,), tuple(components.split()), options))
    return found


def parse_deb822(text: str) -> list[Source]:
    """Entries of a ``*.sources`` file; disabled ones and those without ``deb`` are left out."""
    found = []
    for stanza in re.split(r"\n[ \t]*\n", "\n" + text.replace("\r\n", "\n")):
        fields = _fields(stanza)
        types = fields.get("types", "").split()
        off = fields.get("enabled", "yes").strip().lower() in ("no", "false", "0", "off", "without")
        if "deb" not in types or off or not fields.get("uris") or not fields.get("suites"):
            continue
        found.append(
            Source(
                tuple(fields["uris"].split()),
                tuple(fields["suites"].split()),
                tuple(fields.get("components", "").split()),
                {name: fields[name] for name in _KEPT if name in fields},
            )
        )
    return found


def _fields(stanza: str) -> dict[str, str]:
    """Fields of a stanza by lower-case name; continuation lines are kept as they are."""
    fields: dict[str, str] = {}
    name = ""
    for line in stanza.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line[0] in " \t":
            if name:
                fields[name] += "\n" + line.rstrip()
            continue
        key, colon, value = line.partition(":")
        if colon:
            name = key.strip().lower()
            fields[name] = value.strip()
    return fields


def machine_sources(etc: Path = ETC_APT) -> list[Source]:
    """All entries of this machine: sources.list first, then the parts in apt's order."""
    files = [etc / "sources.list"]
    parts = etc / "sources.list.d"
    if parts.is_dir():
        files += sorted(p for p in parts.iterdir() if p.suffix in (".list", ".sources"))
    found: list[Source] = []
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        found += parse_deb822(text) if file.suffix == ".sources" else parse_one_line(text)
    return found


def debian_source(sources: Iterable[Source]) -> Source:
    """The entry for Debian's main archive.  Raises MissingError when there is none.

    Other archives put packages for Debian under such a path too: the one with Debian's own key
    comes first, then Debian's own hosts.
    """
    known = [
        source
        for source in sources
        if "main" in source.components and any(_DEBIAN.search(uri) for uri in source.uris)
    ]
    if not known:
        raise MissingError(
            "not found: no line for Debian's archive in this machine's package sources, and "
            f"kernels are fetched from Debian only; {ADVICE}"
        )
    return min(known, key=_foreignness)


def _foreignness(source: Source) -> int:
    if "debian-archive" in source.options.get("signed-by", ""):
        return 0
    return 1 if any("debian.org/" in uri for uri in source.uris) else 2


def own_release(sources: Iterable[Source], codename: str) -> list[Source]:
    """The entries of this machine's own release, without those of other vendors."""
    pattern = re.compile(rf"^{re.escape(codename)}(-updates|-security|/updates)?$")
    chosen = []
    for source in sources:
        suites = [suite for suite in source.suites if pattern.match(suite)]
        if suites and "main" in source.components:
            chosen.append(source.with_suites(suites))
    return chosen
