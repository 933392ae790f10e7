"""Flow `promote`: the gate judges a version; it is promoted if every rule holds and, where params
say by hand, a person agrees."""

import sys
from pathlib import Path
from typing import Literal

from prefect import flow, get_run_logger, runtime, suspend_flow_run, task
from prefect.artifacts import create_markdown_artifact
from prefect.input import RunInput

from flows.retries import RETRY_POLICY


class Decision(RunInput):
    """What a person says about a version that the gate lets pass."""

    decision: Literal["promote", "refuse"]
    why: str
    who: str


def gate_table(version: str, champion: str | None, reasons: list[dict]) -> str:
    """Markdown: every rule of the gate, whether it holds, and the figures behind it."""
    against = f"against champion {champion}" if champion else "without a champion"
    rows = [
        f"| {'holds' if r['holds'] else '**fails**'} | {r['rule']} | {r['text']} |" for r in reasons
    ]
    head = [f"# unmask version {version}, {against}", "", "| | rule | figures |", "|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


@task(**RETRY_POLICY)
def judge_challenger(
    version: str | None = None, *, by_hand: bool = False, again: bool = False
) -> bool | str:
    """Judge a version, by default the challenger, log every reason and move the alias.

    Args:
        by_hand: leave the alias; what the gate said before, against the same champion, stands.
        again: judge a version that was rolled back too.

    Returns:
        Whether the version is the champion now; by hand its number where a person is to be asked.
    """
    from unmask.config.params import load_params
    from unmask.registry import promotion

    logger, masked = get_run_logger(), Path("data/masked")
    if by_hand:
        done = promotion.judged(version, again=again)
        done = done or promotion.judge_version(load_params(), masked, version, again=again)
    else:
        done = promotion.promote(load_params(), masked, version, again=again)
    if done.verdict is None:
        logger.info(f"version {done.version} already is the champion")
        return True
    for reason in done.verdict.reasons:
        logger.info(f"{'pass' if reason.holds else 'FAIL'}: {reason.text}")
    table = gate_table(done.version, done.champion, done.verdict.as_json()["reasons"])
    create_markdown_artifact(table, key="gate", description=f"version {done.version}")
    if by_hand and done.verdict.promote:
        logger.info(f"version {done.version} passed the gate and waits for a person")
        return done.version
    logger.info(f"version {done.version} was {done.verdict.summary}")
    return done.verdict.promote


@task(**RETRY_POLICY)
def record(version: str, decision: Decision) -> bool:
    """Do what a person decided, and record who, when and why."""
    from unmask.registry.champions import refuse, succeed
    from unmask.registry.versions import verdict_of

    if decision.decision == "promote":
        succeed(verdict_of(version)["champion"], version, decision.why, who=decision.who)
    else:
        refuse(version, decision.why, who=decision.who)
    get_run_logger().info(f"{decision.who}: {decision.decision} version {version}: {decision.why}")
    return decision.decision == "promote"


def _described(version: str) -> str:
    from unmask.registry.versions import verdict_of

    verdict = verdict_of(version)
    return gate_table(version, verdict["champion"], verdict["reasons"])


@flow(name="promote", log_prints=True, persist_result=True)
def promote(version: str | None = None) -> bool:
    """Judge a version by the gate and make it champion if it passes.

    As a deployment with `loop.promote: by_hand` it suspends for what a person says about a version
    that passes. A decision is about one version: where the challenger changed meanwhile, or the
    champion did and the gate now refuses, it does not count.

    Args:
        version: its number, also of one that was rolled back; by default the challenger.
    """
    from unmask.config.params import load_params

    named = version is not None
    if load_params().loop.promote == "automatic" or runtime.deployment.id is None:
        return judge_challenger(version, again=named)
    passed = judge_challenger(version, by_hand=True, again=named)
    if isinstance(passed, bool):
        return passed
    asked = Decision.with_initial_data(description=_described(passed))
    return record(passed, suspend_flow_run(wait_for_input=asked, key=f"version-{passed}"))


if __name__ == "__main__":
    sys.exit(0 if promote(*sys.argv[1:2]) else 1)
