"""SARIF 2.1.0, the format of code scanning services.

A result points at the kept program, as a path relative to the campaign's directory, which the
log names as its base; the fingerprint lets a service see that it is the same finding as last time.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from fuzz.finding import Finding
from fuzz.folder import PROGRAM
from fuzz.judge import BOTH, PATCHED_ONLY, REFERENCE_ONLY, UNSETTLED
from fuzz.report import report
from fuzz.rules import EXPLAINED
from tools.report.gather import Campaign, Entry

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
VERSION: Final = "2.1.0"
BASE: Final = "CAMPAIGN"
FINGERPRINT: Final = "gmemdiffKind/v1"
# Only what speaks against the patch is an error; what the patch cures is good to know.
LEVELS: Final = {
    PATCHED_ONLY: "error",
    UNSETTLED: "warning",
    BOTH: "warning",
    REFERENCE_ONLY: "note",
}


def to_sarif(campaign: Campaign, version: str) -> str:
    """The campaign as a SARIF log."""
    found = [(entry, entry.finding) for entry in campaign.entries if entry.finding is not None]
    rules = sorted({finding.kind.rule for _, finding in found})
    places = {rule: at for at, rule in enumerate(rules)}
    run = {
        "tool": {
            "driver": {
                "name": "gmemdiff",
                "version": version,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "automationDetails": {"id": _automation(campaign)},
        "originalUriBaseIds": {BASE: {"uri": _folder(campaign.layout.root)}},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not campaign.problems,
                "toolExecutionNotifications": [_notice(text) for text in _told(campaign)],
            }
        ],
        "results": [_result(campaign, *pair, places) for pair in found],
    }
    log = {"$schema": SCHEMA, "version": VERSION, "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _automation(campaign: Campaign) -> str:
    """What tells runs of different comparisons apart."""
    return f"gmemdiff/{campaign.settings.patched}-against-{campaign.settings.reference}/"


def _folder(root: Path) -> str:
    return root.resolve().as_uri().rstrip("/") + "/"


def _told(campaign: Campaign) -> list[str]:
    broken = [entry.broken for entry in campaign.entries if entry.broken]
    return [*campaign.problems, *broken, *campaign.remarks]


def _notice(text: str) -> dict[str, Any]:
    return {"level": "warning", "message": {"text": text}}


def _rule(slug: str) -> dict[str, Any]:
    rule = EXPLAINED.get(slug)
    if rule is None:  # made by a newer gmemdiff
        return {"id": slug, "shortDescription": {"text": slug}}
    return {
        "id": slug,
        "shortDescription": {"text": rule.holds},
        "fullDescription": {"text": f"{rule.holds} Otherwise: {rule.otherwise}"},
        "help": {"text": f"{rule.holds}\nOtherwise: {rule.otherwise}\nClaimed by: {rule.claim}"},
        "properties": {"tags": ["kvm", "concurrency"]},
    }


def _result(
    campaign: Campaign, entry: Entry, finding: Finding, places: dict[str, int]
) -> dict[str, Any]:
    path = entry.folder / PROGRAM
    uri = path.relative_to(campaign.layout.root).as_posix()
    result: dict[str, Any] = {
        "ruleId": finding.kind.rule,
        "ruleIndex": places[finding.kind.rule],
        "level": LEVELS.get(finding.kind.side, "warning"),
        "kind": "fail",
        "message": {"text": f"{finding.headline}\n\n{report(finding, str(path))}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri, "uriBaseId": BASE},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [{"name": finding.kind.site, "kind": "function"}],
            }
        ],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "occurrenceCount": entry.count,
        "properties": {
            "side": finding.kind.side,
            "site": finding.kind.site,
            "profile": str(finding.program.profile),
        },
    }
    if entry.accepted is not None:
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": entry.accepted.reason}
        ]
    return result
