"""Flow `promote`: the gate judges a version, which becomes champion if every rule holds.

Where `loop.promote` is by_hand, a person must agree too.
"""

import sys
from typing import Literal

from prefect import flow, get_run_logger, runtime, suspend_flow_run, task
from prefect.artifacts import create_markdown_artifact
from prefect.input import RunInput

from flows.events import REFUSED, send_event
from flows.retries import RETRY_POLICY


class Decision(RunInput):
    """The form that a person fills in about a version that passed the gate.

    Attributes:
        decision: whether to promote the version.
        why: for the champion's history.
        who: the person's name.
    """

    decision: Literal["promote", "refuse"]
    why: str
    who: str


def gate_table(version: str, champion: str | None, reasons: list[dict]) -> str:
    """The gate's verdict as a Markdown table.

    Args:
        version: number of the judged version.
        champion: number of the champion that it was compared with, if any.
        reasons: a dict per rule: `rule`, `holds` and `text`.
    """
    against = f"against champion {champion}" if champion else "without a champion"
    rows = [
        f"| {'holds' if r['holds'] else '**fails**'} | {r['rule']} | {r['text']} |" for r in reasons
    ]
    head = [f"# unmask version {version}, {against}", "", "| | rule | figures |", "|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


@task(**RETRY_POLICY)
def judge_challenger(
    version: str | None = None, *, by_hand: bool = False, after_rollback: bool = False
) -> bool | str:
    """Judge a version by the gate, log every reason and, if it passes, make it champion.

    Args:
        version: its number; None takes the challenger.
        by_hand: leave the champion to a person; an earlier verdict against the same champion is
            used again.
        after_rollback: judge a version that was rolled back too.

    Returns:
        Whether the version is the champion now; with `by_hand`, the number of a version that
        passed and waits for a person.
    """
    from unmask.config.params import load_params
    from unmask.project import in_project
    from unmask.registry import promotion

    logger, masked = get_run_logger(), in_project("data/masked")
    if by_hand:
        judgement = promotion.last_judgement(
            version, after_rollback=after_rollback
        ) or promotion.judge_version(load_params(), masked, version, after_rollback=after_rollback)
    else:
        judgement = promotion.promote(load_params(), masked, version, after_rollback=after_rollback)
    number, verdict = judgement.version, judgement.verdict
    if verdict is None:
        logger.info(f"version {number} already is the champion")
        return True
    for reason in verdict.reasons:
        logger.info(f"{'pass' if reason.holds else 'FAIL'}: {reason.text}")
    table = gate_table(number, judgement.champion, verdict.as_json()["reasons"])
    create_markdown_artifact(table, key="gate", description=f"version {number}")
    if by_hand and verdict.promote:
        logger.info(f"version {number} passed the gate and waits for a person")
        return number
    logger.info(f"version {number} was {verdict.summary}")
    if not verdict.promote:
        against = str(judgement.champion)
        first, *others = verdict.summary.split("; ")
        text = f"version {number} was {first}" + (f"; and {len(others)} more" if others else "")
        send_event(REFUSED, f"{number}-{against}", text, {"version": number, "champion": against})
    return verdict.promote


def _verdict(version: str) -> dict:
    """The verdict recorded on a version that was judged."""
    from unmask.registry.versions import RegistryError, verdict_of

    verdict = verdict_of(version)
    if verdict is None:
        raise RegistryError(f"version {version} has no verdict: run `unmask models promote` first.")
    return verdict


@task(**RETRY_POLICY)
def carry_out(version: str, decision: Decision) -> bool:
    """Carry out a person's decision, and record who made it, when and why.

    Returns:
        Whether the version is the champion now.
    """
    from unmask.registry.champions import record_refusal, replace_champion

    if decision.decision == "promote":
        replace_champion(_verdict(version)["champion"], version, decision.why, who=decision.who)
    else:
        record_refusal(version, decision.why, who=decision.who)
    get_run_logger().info(f"{decision.who}: {decision.decision} version {version}: {decision.why}")
    return decision.decision == "promote"


def _verdict_table(version: str) -> str:
    verdict = _verdict(version)
    return gate_table(version, verdict["champion"], verdict["reasons"])


@flow(name="promote", log_prints=True, persist_result=True)
def promote(version: str | None = None) -> bool:
    """Judge a version by the gate and make it champion if it passes.

    As a deployment with `loop.promote: by_hand` it suspends until a person decides about a version
    that passes. A decision counts for that version only: if the challenger changed meanwhile, or
    the champion changed and the gate now refuses, it is ignored.

    Args:
        version: its number, also of one that was rolled back; None takes the challenger.

    Returns:
        Whether the version is the champion now.
    """
    from unmask.config.params import load_params

    named = version is not None
    if load_params().loop.promote == "automatic" or runtime.deployment.id is None:
        return bool(judge_challenger(version, after_rollback=named))
    passed = judge_challenger(version, by_hand=True, after_rollback=named)
    if isinstance(passed, bool):
        return passed
    form = Decision.with_initial_data(description=_verdict_table(passed))
    return carry_out(passed, suspend_flow_run(wait_for_input=form, key=f"version-{passed}"))


if __name__ == "__main__":
    sys.exit(0 if promote(*sys.argv[1:2]) else 1)
