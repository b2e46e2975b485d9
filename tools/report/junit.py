"""JUnit XML, which every continuous integration service can show.

One test case per finding: it fails with the report's text, or is skipped with the reason for
which it was accepted.  One more, that passes, carries the counts of the campaign.
"""

from __future__ import annotations

import re
from typing import Any, Final

from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

from fuzz.folder import PROGRAM
from fuzz.report import report
from tools.report.gather import Campaign, Entry

SUITE: Final = "gmemdiff"
CAMPAIGN: Final = "campaign"
# What XML 1.0 cannot hold at all, not even escaped.
FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(campaign: Campaign) -> str:
    """The campaign as JUnit XML."""
    suite = TestSuite(SUITE)
    suite.timestamp = campaign.generated.strftime("%Y-%m-%dT%H:%M:%S")
    suite.hostname = "localhost"
    for name, value in properties(campaign).items():
        suite.add_property(name, value)
    counts = TestCase(CAMPAIGN, SUITE, campaign.last.run_time)
    suite.add_testcase(counts)
    for entry in campaign.entries:
        suite.add_testcase(_case(entry))
    document: Any = JUnitXml(SUITE)
    document.add_testsuite(suite)
    document.update_statistics()
    return str(document.tostring().decode("utf-8"))


def properties(campaign: Campaign) -> dict[str, str]:
    """The counts of a campaign, as text."""
    last, totals = campaign.last, campaign.totals
    sides = {f"findings {side}": count for side, count in campaign.by_side().items()}
    values = {
        "reference": campaign.settings.reference,
        "patched": campaign.settings.patched,
        "executions": last.executions,
        "run_time": f"{last.run_time:.0f}",
        "corpus": campaign.corpus,
        "lines": totals.lines,
        "lines_total": totals.lines_total,
        "pairs": totals.pairs,
        "windows": totals.windows,
        "findings": len(campaign.findings),
        "findings new": len(campaign.failing),
        "findings accepted": len(campaign.findings) - len(campaign.failing),
        **sides,
        "findings unreadable": len(campaign.entries) - len(campaign.findings),
        "queue": campaign.queue,
        "hangs": len(campaign.hangs),
        "internal errors": len(campaign.errors),
    }
    return {name: _clean(str(value)) for name, value in values.items()}


def _case(entry: Entry) -> TestCase:
    finding = entry.finding
    if finding is None:
        case = TestCase(f"{entry.fingerprint} unreadable", f"{SUITE}.unreadable", 0)
        case.result = [Skipped(_clean(entry.broken))]
        return case
    name = _clean(f"{finding.fingerprint} {finding.kind.rule} at {finding.kind.site}")
    case = TestCase(name, f"{SUITE}.{finding.kind.side}", 0)
    if entry.accepted is not None:
        case.result = [Skipped(_clean(f"accepted: {entry.accepted.reason}"))]
        return case
    failure = Failure(_clean(finding.headline), finding.kind.rule)
    failure.text = _clean(report(finding, str(entry.folder / PROGRAM)))
    case.result = [failure]
    return case


def _clean(text: str) -> str:
    """Text that XML can hold."""
    return FORBIDDEN.sub("\ufffd", text)
