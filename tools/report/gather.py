"""From the files of a campaign directory to one plain value that every kind of report is made of.

Whatever is torn, hostile or missing is told as a problem and hides nothing else: a report of a
broken directory is when one needs it most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from fuzz.finding import Finding
from fuzz.folder import FindingError, load
from tools.campaign.accept import Acceptance, Accepted
from tools.campaign.layout import PROGRAM_SUFFIX, Layout
from tools.campaign.quarantine import WHY
from tools.campaign.records.totals import SeenAs, Totals, campaign_totals
from tools.campaign.settings import CampaignError, Settings, load_settings
from tools.campaign.views.snapshot import SIDES, side_rank
from tools.lab.confirmation import Confirmation
from tools.lab.confirmation import load as load_confirmation
from tools.report.history import History, history_of
from tools.report.samples import Sample, read_samples


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder below findings/.  invariant: finding or broken is there, not both."""

    fingerprint: str
    folder: Path
    finding: Finding | None
    broken: str  # why it cannot be read
    history: History
    accepted: Acceptance | None
    confirmation: Confirmation | None = None  # what real kernels said; None: none was asked

    @property
    def count(self) -> int:
        """How often it was seen, by whichever file knows of more."""
        return max(self.history.count, self.finding.seen if self.finding else 0, 1)

    @property
    def fails(self) -> bool:
        """Whether this finding fails a build."""
        return self.finding is not None and self.accepted is None


@dataclass(frozen=True, slots=True)
class Campaign:
    """Everything a report says, timelines and source coverage aside."""

    layout: Layout
    settings: Settings
    generated: datetime
    entries: tuple[Entry, ...]
    accepted: Accepted
    remarks: tuple[str, ...]  # about the file of accepted findings
    samples: tuple[Sample, ...]
    problems: tuple[str, ...]  # files that could not be read
    totals: Totals
    corpus: int
    queue: int
    hangs: tuple[str, ...]
    errors: tuple[str, ...]
    quarantine: tuple[str, ...]

    @property
    def last(self) -> Sample:
        """The newest statistics; all zero when there are none."""
        return self.samples[-1] if self.samples else Sample()

    @property
    def findings(self) -> tuple[Entry, ...]:
        """The folders that hold a finding."""
        return tuple(e for e in self.entries if e.finding is not None)

    @property
    def failing(self) -> tuple[Entry, ...]:
        """Findings that nobody has accepted."""
        return tuple(e for e in self.entries if e.fails)

    def by_side(self) -> dict[str, int]:
        """How many findings each side has, accepted ones included."""
        sides = [e.finding.kind.side for e in self.entries if e.finding is not None]
        return {side: sides.count(side) for side in SIDES if side in sides}


def gather(root: Path, accepted: Accepted, now: datetime) -> Campaign:
    """Read a campaign directory.  CampaignError when there is no campaign in it at all."""
    layout = Layout(root)
    problems: list[str] = []
    settings = _settings(layout, problems)
    today = now.astimezone(UTC).date()
    totals = campaign_totals(layout)
    entries = tuple(sorted(_entries(layout, accepted, today, totals.seen), key=_rank))
    return Campaign(
        layout=layout,
        settings=settings,
        generated=now,
        entries=entries,
        accepted=accepted,
        remarks=tuple(accepted.remarks((e.fingerprint for e in entries), today)),
        samples=read_samples(layout.stats),
        problems=tuple(problems),
        totals=totals,
        corpus=sum(1 for _ in _names(layout.corpus)),
        queue=sum(1 for name in _names(layout.queue) if name.endswith(PROGRAM_SUFFIX)),
        hangs=tuple(n for n in _names(layout.hangs) if n.endswith(PROGRAM_SUFFIX)),
        errors=tuple(n for n in _names(layout.errors) if n.endswith(PROGRAM_SUFFIX)),
        quarantine=tuple(n for n in _names(layout.quarantine) if not n.endswith(WHY)),
    )


def _settings(layout: Layout, problems: list[str]) -> Settings:
    """Without readable settings there may still be findings to tell about."""
    try:
        return load_settings(layout.root)
    except CampaignError as error:
        if not layout.findings.is_dir():
            raise
        problems.append(str(error))
        return Settings()


def _names(folder: Path) -> list[str]:
    """Names of the files in a folder that are whole, sorted; none if it cannot be read."""
    try:
        return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    except OSError:
        return []


def _entries(
    layout: Layout, accepted: Accepted, today: date, seen: Mapping[SeenAs, int]
) -> Iterator[Entry]:
    for name in _names(layout.findings):
        folder = layout.findings / name
        finding, broken = None, ""
        try:
            finding = load(folder)
        except FindingError as error:
            broken = str(error)
        except Exception as error:  # a hostile file must not hide the others
            broken = f"{folder}: cannot be read: {error!r}"
        if finding is not None and finding.fingerprint != name:
            broken = f"{folder}: holds finding {finding.fingerprint}; rename or remove the folder"
            finding = None
        entry = accepted.of(name, today) if finding is not None else None
        told = load_confirmation(folder, finding.program) if finding is not None else None
        yield Entry(name, folder, finding, broken, history_of(folder, seen), entry, told)


def _rank(entry: Entry) -> tuple[bool, bool, int, str]:
    """New before accepted, against the patch before others, broken folders last."""
    side = entry.finding.kind.side if entry.finding is not None else ""
    return entry.finding is None, entry.accepted is not None, side_rank(side), entry.fingerprint
