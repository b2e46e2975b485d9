"""Reading the machine's package sources, in both formats, and choosing among them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.lab.errors import MissingError
from tools.lab.sources import (
    Source,
    debian_source,
    machine_sources,
    own_release,
    parse_deb822,
    parse_one_line,
)

KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"


def test_a_one_line_entry_keeps_its_key_and_leaves_its_architectures() -> None:
    text = (
        "# a comment\n"
        f"deb [arch=amd64,arm64 signed-by={KEY}] http://d.example/debian trixie main non-free\n"
        "deb-src http://d.example/debian trixie main\n"
        "deb http://d.example/debian trixie-updates main # and why\n"
    )
    first, second = parse_one_line(text)
    assert first.suites == ("trixie",)
    assert first.components == ("main", "non-free")
    assert dict(first.options) == {"signed-by": KEY}
    assert second == Source(("http://d.example/debian",), ("trixie-updates",), ("main",), {})


def test_a_one_line_entry_with_spaces_around_its_options_is_read() -> None:
    (source,) = parse_one_line("deb  [ trusted=yes ]  copy:/srv/debian  sid   main")
    assert dict(source.options) == {"trusted": "yes"}
    assert source.uris == ("copy:/srv/debian",)


def test_a_deb822_stanza_with_several_suites_and_addresses_is_one_entry() -> None:
    text = (
        "Types: deb deb-src\n"
        "# a comment inside\n"
        "URIs: http://a.example/debian http://b.example/debian\n"
        "Suites: bookworm\n bookworm-updates\n"
        "Components: main\n"
        f"Signed-By: {KEY}\n"
        "\n"
        "Types: deb-src\nURIs: http://c.example/debian\nSuites: sid\nComponents: main\n"
        "\n"
        "Enabled: no\nTypes: deb\nURIs: http://d.example/debian\nSuites: sid\nComponents: main\n"
    )
    (source,) = parse_deb822(text)
    assert source.uris == ("http://a.example/debian", "http://b.example/debian")
    assert source.suites == ("bookworm", "bookworm-updates")
    assert source.options["signed-by"] == KEY


def test_a_key_given_inline_is_kept_whole() -> None:
    key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n -----END PGP PUBLIC KEY BLOCK-----"
    text = (
        "Types: deb\nURIs: http://a.example/debian\nSuites: sid\nComponents: main\n"
        f"Signed-By:\n {key}\n"
    )
    (source,) = parse_deb822(text)
    assert parse_deb822(source.text()) == [source]
    assert " mQINBF" in source.text()


words = st.text("abcdefghijklmnopqrstuvwxyz-./0123456789", min_size=1, max_size=12)
several = st.lists(words, min_size=1, max_size=3).map(tuple)


@given(several, several, several)
def test_an_entry_survives_being_written_and_read(
    uris: tuple[str, ...], suites: tuple[str, ...], components: tuple[str, ...]
) -> None:
    source = Source(uris, suites, components, {"signed-by": KEY, "check-valid-until": "no"})
    assert parse_deb822(source.text()) == [source]


def machine(tmp_path: Path, **files: str) -> list[Source]:
    (tmp_path / "sources.list.d").mkdir()
    for name, text in files.items():
        path = name.replace("__", "/").replace("_", ".")
        (tmp_path / path).write_text(text)
    return machine_sources(tmp_path)


def test_both_formats_of_a_machine_are_read_and_other_files_are_not(tmp_path: Path) -> None:
    found = machine(
        tmp_path,
        sources_list="deb http://one.example/debian sid main\n",
        sources_list_d__two_list="deb http://two.example/debian sid main\n",
        sources_list_d__three_sources=(
            "Types: deb\nURIs: http://three.example/debian\nSuites: sid\nComponents: main\n"
        ),
        sources_list_d__four_save="deb http://four.example/debian sid main\n",
    )
    hosts = [source.uris[0].split("/")[2] for source in found]
    assert hosts == ["one.example", "three.example", "two.example"]


def test_debians_own_archive_is_chosen_before_others_for_debian() -> None:
    other = parse_one_line(
        "deb [signed-by=/k/vendor.gpg] https://repo.example/vendor/debian bookworm main"
    )
    mirror = parse_one_line(f"deb [signed-by={KEY}] http://mirror.example/debian bookworm main")
    plain = parse_one_line("deb http://ftp.debian.org/debian bookworm main")
    assert debian_source([*other, *plain, *mirror]) == mirror[0]
    assert debian_source([*other, *plain]) == plain[0]


def test_the_security_archive_and_other_components_are_not_debians_archive() -> None:
    found = parse_one_line(
        "deb http://security.debian.org/debian-security bookworm-security main\n"
        "deb https://download.example/linux/debian bookworm stable\n"
        "deb http://archive.ubuntu.com/ubuntu noble main\n"
    )
    with pytest.raises(MissingError, match="--vmlinuz FILE --modules DIR"):
        debian_source(found)


def test_a_mirror_list_of_a_cloud_image_is_debians_archive() -> None:
    (source,) = parse_one_line("deb mirror+file:/etc/apt/mirrors/debian.list trixie main")
    assert debian_source([source]) == source


def test_only_the_suite_is_replaced() -> None:
    (source,) = parse_one_line(f"deb [signed-by={KEY}] http://m.example/debian bookworm main")
    other = source.with_suites(["sid", "experimental"])
    assert other.text() == (
        "Types: deb\nURIs: http://m.example/debian\nSuites: sid experimental\n"
        f"Components: main\nSigned-By: {KEY}\n"
    )


def test_the_own_release_is_without_backports_and_other_vendors() -> None:
    found = parse_one_line(
        "deb http://m.example/ubuntu noble main\n"
        "deb http://m.example/ubuntu noble-updates main universe\n"
        "deb http://m.example/ubuntu noble-backports main\n"
        "deb http://m.example/ubuntu noble-security main\n"
        "deb http://cloud.example/apt cloud-sdk-noble main\n"
    )
    suites = [source.suites[0] for source in own_release(found, "noble")]
    assert suites == ["noble", "noble-updates", "noble-security"]
