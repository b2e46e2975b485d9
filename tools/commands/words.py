"""``gmemdiff explain``, ``models``, ``ops``: what the words in programs and reports mean."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from typing import Final

import click

from fuzz.overlay import OverlayError, known_models
from fuzz.rules import EXPLAINED, Rule
from fuzz.values import unknown
from fuzz.vocabulary import OPS, PAGE, Arg
from tools import exits
from tools.cases import Models

WIDTH: Final = 100


@click.command()
@click.argument("rule", required=False)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def explain(rule: str | None, as_json: bool) -> int:
    """Say what a rule protects, what happens otherwise, and where the kernel claims it."""
    if rule is not None and rule not in EXPLAINED:
        click.echo(f"{unknown('rule', rule, EXPLAINED)} (gmemdiff explain lists all)", err=True)
        return exits.BAD_INPUT
    if as_json:
        chosen = EXPLAINED.values() if rule is None else [EXPLAINED[rule]]
        click.echo(json.dumps([asdict(each) for each in chosen], indent=2))
        return exits.CLEAN
    if rule is None:
        width = max(len(slug) for slug in EXPLAINED) + 2
        for each in EXPLAINED.values():
            _wrapped(f"{each.slug:<{width}}{each.holds}", width)
        return exits.CLEAN
    _explain(EXPLAINED[rule])
    return exits.CLEAN


def _explain(rule: Rule) -> None:
    click.echo(rule.slug)
    for name, text in (
        ("holds", rule.holds),
        ("otherwise", rule.otherwise),
        ("claimed", rule.claim),
    ):
        _wrapped(f"  {name:<11}{text}", 13)


def _wrapped(text: str, indent: int) -> None:
    click.echo(
        textwrap.fill(
            text, WIDTH, subsequent_indent=" " * indent, break_long_words=False,
            break_on_hyphens=False,
        )
    )  # fmt: skip


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def models(as_json: bool) -> int:
    """List the models: what each changes, and what it promises."""
    loader = Models()
    code = exits.CLEAN
    listed: list[dict[str, object]] = []
    for name in known_models():
        try:
            model = loader.get(name)
        except OverlayError as error:
            click.echo(str(error), err=True)
            code = exits.BAD_INPUT
            continue
        if as_json:
            listed.append(
                {
                    "name": name,
                    "summary": model.summary,
                    "replaces": model.replaced,
                    "promises": model.promises,
                }
            )
            continue
        click.echo(name)
        _wrapped(f"  {model.summary}", 2)
        if model.replaced:
            _wrapped(f"  replaces: {', '.join(model.replaced)}", 4)
        if model.promises:
            _wrapped(f"  promises: {', '.join(model.promises)}", 4)
    if as_json:
        click.echo(json.dumps(listed, indent=2))
    return code


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def ops(as_json: bool) -> int:
    """List the ops of the language, with their arguments."""
    if as_json:
        click.echo(json.dumps([asdict(spec) for spec in OPS.values()], indent=2))
        return exits.CLEAN
    for spec in OPS.values():
        click.echo(f"{spec.name}   ({', '.join(spec.actors)})")
        _wrapped(f"  {spec.help}", 2)
        for arg in spec.args:
            _wrapped(f"    {arg.name}={_values(arg)}", 8)
    return exits.CLEAN


def _values(arg: Arg) -> str:
    """How an argument is written, and what it is when left out."""
    names = arg.names or tuple(arg.choices)
    forms = {
        "int": "NUMBER",
        "addr": "PAGESp[+BYTES]",
        "hva": "AREA[+PAGESp]",
        "fd": "gmemN|none|bad|file|foreign",
        "flags": "|".join(names),
        "enum": " or ".join(names),
    }
    default = ""
    if arg.default is not None:
        value = str(arg.default)
        if arg.kind == "flags":
            chosen = [name for name, bit in arg.choices.items() if arg.default & bit]
            value = "|".join(chosen) or "0"
        elif arg.kind == "fd":
            value = "none"
        elif arg.default and arg.kind == "addr":
            value = f"{arg.default // PAGE}p"
        default = f"   (default {value})"
    return forms[arg.kind] + default
