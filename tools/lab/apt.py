"""apt as a library to borrow from: own lists, own cache, no root, nothing installed.

apt checks the signature of every index and the checksum of every package.  The machine's package
state is read where a caller asks what is missing here, and never written: every folder that apt
writes to is ours, hooks are not run, and packages are unpacked with ``dpkg-deb -x``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from tools.lab.deadline import Deadline
from tools.lab.errors import MissingError
from tools.lab.sources import Source

# Settings of the machine that say how to reach the archive; all else of its apt.conf is ignored.
_REACH: Final = re.compile(
    r"^Acquire::(https?|ftp|Retries|Queue-Mode|ForceIPv[46]|ForceHash|Check-Valid-Until|Check-Date"
    r"|By-Hash|Max-ValidTime|Min-ValidTime)\b", re.I,
)  # fmt: skip
_URI: Final = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) \d+")
_FAILED: Final = re.compile(r"^[WE]: (?:Failed to fetch )?(\S+  \S.*|The repository .*)$")
_TAIL_MAX: Final = 3  # lines of apt's own words in an error
SYSTEM_STATUS: Final = Path("/var/lib/dpkg/status")


class Apt:
    """apt with a folder of its own.

    status: what counts as installed; without one, nothing does.  arch: Debian's name of it.
    """

    def __init__(
        self,
        folder: Path,
        sources: Sequence[Source],
        arch: str,
        deadline: Deadline,
        status: Path | None = None,
    ) -> None:
        for tool in ("apt-get", "apt-cache", "apt-config", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise MissingError(f"not found: {tool}; packages are fetched with apt")
        self.folder = folder
        self.arch = arch
        self.deadline = deadline
        for sub in ("lists/partial", "archives/partial", "empty/partial", "state", "none", "log"):
            (folder / sub).mkdir(parents=True, exist_ok=True)
        (folder / "lab.sources").write_text("\n".join(s.text() for s in sources))
        (folder / "status").touch()
        (folder / "apt.conf").write_text(_conf(folder, arch, status or folder / "status"))
        self._environment = {
            **os.environ, "APT_CONFIG": str(folder / "apt.conf"), "LC_ALL": "C.UTF-8",
        }  # fmt: skip

    def update(self) -> str:
        """Fetch the indexes; returns one line on those that could not be, empty when all were."""
        done = self._apt("apt-get", "update")
        failed = [match for match in map(_FAILED.match, done.stderr.splitlines()) if match]
        why = failed[0][1].strip() if failed else _last(done.stderr)
        if not any((self.folder / "lists").glob("*Packages*")):
            raise MissingError(f"package indexes cannot be fetched: {why}")
        if failed or done.returncode:
            return f"not every package index could be fetched ({len(failed)} failed): {why}"
        return ""

    def names(self, prefix: str) -> list[str]:
        """Names of packages that begin with a prefix, sorted."""
        done = self._apt("apt-cache", "pkgnames", prefix)
        return sorted(done.stdout.split())

    def show(self, package: str) -> str:
        """The candidate's stanza of the index; empty when there is no such package."""
        return self._apt("apt-cache", "show", "--no-all-versions", package).stdout

    def download(self, packages: Iterable[str], folder: Path) -> list[Path]:
        """Fetch these packages, without what they depend on; returns their files."""
        wanted = list(packages)
        folder.mkdir(parents=True, exist_ok=True)
        # apt lists only what is not there yet.
        empty = self.folder / "empty"
        listed = self._checked("apt-get", "download", "--print-uris", *wanted, cwd=empty)
        files = [folder / match["file"] for match in map(_URI.match, listed) if match]
        self._checked("apt-get", "download", *wanted, cwd=folder)
        lost = [file.name for file in files if not file.is_file()]
        if lost or len(files) < len(wanted):
            raise MissingError(f"apt-get download did not bring {', '.join(lost or wanted)}")
        return files

    def download_with_dependencies(self, packages: Iterable[str]) -> list[Path]:
        """Fetch these packages and all they need that `status` does not have."""
        command = ("--no-install-recommends", "--yes", "--download-only", "install", *packages)
        empty = f"Dir::Cache::Archives={self.folder / 'empty'}"
        listed = self._checked("apt-get", "--print-uris", "-o", empty, *command)
        self._checked("apt-get", *command)
        files = [self._archive(match) for match in map(_URI.match, listed) if match]
        lost = [file.name for file in files if not file.is_file()]
        if lost:
            raise MissingError(f"apt-get install --download-only did not bring {', '.join(lost)}")
        return files

    def _archive(self, listed: re.Match[str]) -> Path:
        """Where a package is once apt is done; one of a local folder is used where it lies."""
        if listed["uri"].startswith("file:"):
            return Path(unquote(listed["uri"].removeprefix("file:")))
        return self.folder / "archives" / listed["file"]

    def _checked(self, *command: str, cwd: Path | None = None) -> list[str]:
        done = self._apt(*command, cwd=cwd)
        if done.returncode:
            raise MissingError(f"{command[0]} failed: {_last(done.stderr)}")
        return done.stdout.splitlines()

    def _apt(self, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.deadline.run(command, cwd, self._environment)


def unpack(package: Path, folder: Path, deadline: Deadline) -> None:
    """Unpack one package's files below a folder; nothing of it is run."""
    folder.mkdir(parents=True, exist_ok=True)
    done = deadline.run(["dpkg-deb", "-x", str(package), str(folder)])
    if done.returncode:
        raise MissingError(f"{package.name} cannot be unpacked: {_last(done.stderr)}")


def _conf(folder: Path, arch: str, status: Path) -> str:
    """A configuration that replaces the machine's, except for how to reach the archive."""
    none = folder / "none"
    ours = {
        "APT::Architecture": arch,
        "APT::Sandbox::User": "root",  # apt's own user cannot read everybody's cache folder
        "APT::Install-Recommends": "false",
        "Debug::NoLocking": "true",
        "Dir::Etc::Main": "/dev/null",
        "Dir::Etc::Parts": none,
        "Dir::Etc::SourceList": folder / "lab.sources",
        "Dir::Etc::SourceParts": none,
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": none,
        "Dir::State": folder / "state",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": status,
        "Dir::State::Extended_States": folder / "state" / "extended_states",
        "Dir::Cache": folder,
        "Dir::Cache::Archives": folder / "archives",
        "Dir::Log": folder / "log",
        "Dir::Cache::SrcPkgCache": "",  # saves space, and costs apt a second
        "Acquire::GzipIndexes": "true",
        "Acquire::Languages": "none",
        "Acquire::AllowInsecureRepositories": "false",
        "Acquire::Retries": "3",
    }
    lines = [f'{name} "{value}";' for name, value in ours.items()]
    lines.append(f'APT::Architectures {{ "{arch}"; }};')
    return "\n".join([*_reach(), *lines]) + "\n"


def _reach() -> list[str]:
    """The machine's own settings for proxies, retries and the like."""
    done = subprocess.run(
        ["apt-config", "dump", "--no-empty", "--format", '%F "%v";%n', "Acquire"],
        capture_output=True, text=True, errors="replace",
    )  # fmt: skip
    return [line for line in done.stdout.splitlines() if _REACH.match(line)]


def _last(text: str) -> str:
    """The last lines of what a command said, as one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E:")] or lines
    return " / ".join(errors[-_TAIL_MAX:]) or "it said nothing"
