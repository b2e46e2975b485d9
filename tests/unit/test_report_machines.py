"""JUnit XML, SARIF and JSON: what continuous integration reads."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import jsonschema
import pytest
from junitparser import JUnitXml

from fuzz.report import report
from tests.unit import campaigns
from tests.unit.campaigns import NOW
from tools import cli, exits
from tools.campaign.accept import Acceptance, Accepted
from tools.report.gather import Campaign, gather
from tools.report.junit import to_junit
from tools.report.sarif import to_sarif

ACCEPTED: Final = Accepted("a.toml", {campaigns.STALE: Acceptance(campaigns.STALE, "known")})
TEXT: Final = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
MESSAGE: Final = {**TEXT, "additionalProperties": False}


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    """An object of these properties and no others."""
    return {
        "type": "object", "required": required, "properties": properties,
        "additionalProperties": False,
    }  # fmt: skip


def listed(items: dict[str, Any]) -> dict[str, Any]:
    """A list of unlike things, as SARIF's lists are."""
    return {"type": "array", "items": items}


# What the OASIS schema of SARIF 2.1.0 says of the properties that we write; it allows no unknown
# ones either.
LEVEL: Final = {"enum": ["none", "note", "warning", "error"]}
BAG: Final = {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}}
ARTIFACT: Final = closed([], uri={"type": "string", "format": "uri-reference"},
                         uriBaseId={"type": "string"})  # fmt: skip
LOCATION: Final = closed(
    [],
    physicalLocation=closed(
        [],
        artifactLocation=ARTIFACT,
        region=closed([], startLine={"type": "integer", "minimum": 1}),
    ),
    logicalLocations=listed(closed([], name={"type": "string"}, kind={"type": "string"})),
)
RESULT: Final = closed(
    ["message"],
    ruleId={"type": "string"},
    ruleIndex={"type": "integer", "minimum": -1},
    level=LEVEL,
    kind={"enum": ["notApplicable", "pass", "fail", "review", "open", "informational"]},
    message=MESSAGE,
    locations=listed(LOCATION),
    partialFingerprints={"type": "object", "additionalProperties": {"type": "string"}},
    occurrenceCount={"type": "integer", "minimum": 1},
    suppressions=listed(
        closed(
            ["kind"],
            kind={"enum": ["inSource", "external"]},
            status={"enum": ["accepted", "underReview", "rejected"]},
            justification={"type": "string"},
        )
    ),
    properties=BAG,
)
RULE: Final = closed(
    ["id"], id={"type": "string"}, shortDescription=TEXT, fullDescription=TEXT, help=TEXT,
    properties=BAG,
)  # fmt: skip
RUN: Final = closed(
    ["tool"],
    tool=closed(
        ["driver"],
        driver=closed(
            ["name"], name={"type": "string"}, version={"type": "string"},
            rules={**listed(RULE), "uniqueItems": True},
        ),
    ),
    automationDetails=closed([], id={"type": "string"}),
    originalUriBaseIds={"type": "object", "additionalProperties": ARTIFACT},
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    invocations=listed(
        closed(
            ["executionSuccessful"],
            executionSuccessful={"type": "boolean"},
            toolExecutionNotifications=listed(closed(["message"], level=LEVEL, message=MESSAGE)),
        )
    ),
    results=listed(RESULT),
)  # fmt: skip
SARIF: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **closed(
        ["version", "runs"],
        **{"$schema": {"type": "string", "format": "uri"}, "version": {"const": "2.1.0"}},
        runs=listed(RUN),
    ),
}


def campaign(root: Path, accepted: Accepted | None = None) -> Campaign:
    """A campaign with a finding against the patch, one of both sides, and a broken folder."""
    layout = campaigns.make(root, campaigns.stale(), campaigns.another("leaf <&> ü"))
    (layout.findings / "00000000").mkdir()
    return gather(layout.root, accepted or Accepted(), NOW)


def sarif(found: Campaign) -> dict[str, Any]:
    """The SARIF log's only run, checked."""
    log = json.loads(to_sarif(found, "1.2.3"))
    jsonschema.validate(log, SARIF)
    (run,) = log["runs"]
    return dict(run)


def test_the_check_of_sarif_finds_what_is_wrong(tmp_path: Path) -> None:
    log = json.loads(to_sarif(campaign(tmp_path), "1.2.3"))
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(log, SARIF)


def test_sarif_has_a_result_for_each_finding_with_its_level(tmp_path: Path) -> None:
    run = sarif(campaign(tmp_path))
    levels = {r["properties"]["side"]: r["level"] for r in run["results"]}
    assert levels == {"patched-only": "error", "both": "warning"}
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert all(rules[r["ruleIndex"]] == r["ruleId"] for r in run["results"])
    assert "Claimed by: J7" in run["tool"]["driver"]["rules"][0]["help"]["text"]


def test_sarif_points_at_the_program_below_the_campaign(tmp_path: Path) -> None:
    run = sarif(campaign(tmp_path))
    first = run["results"][0]
    place = first["locations"][0]["physicalLocation"]["artifactLocation"]
    base = run["originalUriBaseIds"][place["uriBaseId"]]["uri"]
    assert base == tmp_path.resolve().as_uri() + "/"
    assert (tmp_path / place["uri"]).is_file()
    assert first["partialFingerprints"] == {"gmemdiffKind/v1": campaigns.STALE}
    assert first["occurrenceCount"] == 11


def test_sarif_suppresses_what_is_accepted_and_nothing_else(tmp_path: Path) -> None:
    results = sarif(campaign(tmp_path, ACCEPTED))["results"]
    by_side = {r["properties"]["side"]: r.get("suppressions") for r in results}
    told = {"kind": "external", "status": "accepted", "justification": "known"}
    assert by_side == {"patched-only": [told], "both": None}


def test_sarif_tells_of_what_could_not_be_read(tmp_path: Path) -> None:
    (invocation,) = sarif(campaign(tmp_path))["invocations"]
    (notice,) = invocation["toolExecutionNotifications"]
    assert "00000000" in notice["message"]["text"]


def cases(text: str) -> dict[str, ElementTree.Element]:
    """Test cases by name."""
    root = ElementTree.fromstring(text)
    return {each.attrib["name"]: each for each in root.iter("testcase")}


def test_junit_fails_for_new_findings_with_the_whole_report(tmp_path: Path) -> None:
    found = campaign(tmp_path)
    case = cases(to_junit(found))["69a427fe stale-spte at gmem-only prefetched leaf"]
    failure = case.find("failure")
    assert failure is not None
    path = found.layout.findings / campaigns.STALE / "program.prog"
    assert failure.text == report(campaigns.stale(), str(path))
    assert case.attrib["classname"] == "gmemdiff.patched-only"


def test_junit_skips_what_is_accepted_with_the_reason(tmp_path: Path) -> None:
    text = to_junit(campaign(tmp_path, ACCEPTED))
    skipped = cases(text)["69a427fe stale-spte at gmem-only prefetched leaf"].find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == "accepted: known"


def test_junit_counts_add_up_and_the_campaign_itself_passes(tmp_path: Path) -> None:
    text = to_junit(campaign(tmp_path, ACCEPTED))
    document = JUnitXml.fromstring(text.encode())
    assert (document.tests, document.failures, document.skipped) == (4, 1, 2)
    assert list(cases(text)["campaign"]) == []
    root = ElementTree.fromstring(text)
    counts = {p.attrib["name"]: p.attrib["value"] for p in root.iter("property")}
    assert counts["executions"] == "2950"
    assert counts["findings accepted"] == "1"
    assert counts["findings unreadable"] == "1"


def test_junit_holds_what_xml_cannot(tmp_path: Path) -> None:
    bad = "a\x00b\x1b]]>\ud800"
    finding = replace(campaigns.another("x"), results=(bad,))
    found = gather(campaigns.make(tmp_path).root, Accepted(), NOW)
    entry = replace(_entry(tmp_path), finding=finding)
    text = to_junit(replace(found, entries=(entry,)))
    failure = cases(text)[f"{finding.fingerprint} stale-spte at x"].find("failure")
    assert failure is not None
    assert "a\ufffdb\ufffd]]>\ufffd" in (failure.text or "")


def _entry(root: Path) -> Any:
    return campaign(root / "other").entries[0]


def test_report_writes_what_it_is_asked_for_and_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = campaign(tmp_path / "c").layout.root
    xml, log, page = (tmp_path / name for name in ("a.xml", "a.sarif", "a.html"))
    code = cli.main([
        "report", "-w", str(root), "-o", str(page), "--junit", str(xml), "--sarif", str(log),
    ])  # fmt: skip
    told = capsys.readouterr()
    assert code == exits.CLEAN
    assert "findings: 2, of them 2 new, 0 accepted\n" in told.out
    assert f"written: {page}\nwritten: {xml}\nwritten: {log}\n" in told.out
    assert "00000000" in told.err
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    jsonschema.validate(json.loads(log.read_text(encoding="utf-8")), SARIF)
    assert "patched/seed.py" in page.read_text(encoding="utf-8")


def test_check_fails_for_new_findings_only(tmp_path: Path) -> None:
    layout = campaigns.make(tmp_path / "c", campaigns.stale())
    for program in layout.corpus.iterdir():
        program.unlink()  # source coverage takes its time
    root, path = layout.root, tmp_path / "known.toml"
    command = ["report", "-w", str(root), "--check", "--accept", str(path)]
    path.write_text("", encoding="utf-8")
    assert cli.main(command) == exits.FINDING
    path.write_text(
        f'[[accepted]]\nfingerprint = "{campaigns.STALE}"\nreason = "known"\n', encoding="utf-8"
    )
    assert cli.main(command) == exits.CLEAN


def test_json_is_the_report_as_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = campaign(tmp_path).layout.root
    assert cli.main(["report", "-w", str(root), "--json"]) == exits.CLEAN
    data = json.loads(capsys.readouterr().out)
    assert data["counts"]["findings new"] == "2"
    assert data["findings"][0]["fingerprint"] == campaigns.STALE
    assert "broken" in data["findings"][-1]
    assert data["windows"]["swap..srcu"] == {"fallocate": 9, "read": 3}
    assert "poisoning" in data["windows_never_entered"]
    assert data["source_lines"]["reference"][0] > 0
    assert data["written"] == [str(root / "report.html")]


@pytest.mark.parametrize("option", ["-o", "--junit", "--sarif"])
def test_a_report_that_cannot_be_written_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    layout = campaigns.make(tmp_path / "c")
    for program in layout.corpus.iterdir():
        program.unlink()
    path = tmp_path / "none" / "a"
    assert cli.main(["report", "-w", str(layout.root), option, str(path)]) == exits.BAD_INPUT
    assert f"{path}: cannot be written: No such file or directory" in capsys.readouterr().err


def test_a_report_of_no_campaign_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", "-w", str(tmp_path / "none")]) == exits.BAD_INPUT
    assert "no campaign here" in capsys.readouterr().err
