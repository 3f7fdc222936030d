"""A plan's calendar, written for an engine that keeps calendars: a CronJob, a timer, a crontab, a workflow.

Each starts `chaos gameday run PLAN --if-due`, which asks the rules and says no where they do; a second start for the
same date is refused by the journal, so the engine need not be exact. All four take a time zone of their own:

* Kubernetes `spec.timeZone`, stable since 1.27: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
* systemd, after the time: systemd.time(7), "Calendar Events"
* cronie `CRON_TZ`: crontab(5); Debian's own cron has none
* GitHub `timezone` beside `cron`: https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from brownout.errors import InvalidInput
from brownout.gameday.plan import GameDay, Schedule
from brownout.gameday.schedule import ClockChange, fields

_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_STOP = 120
"""Seconds that an interrupted drill has to heal what it broke."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What an engine has to know beside the plan."""

    folder: Path
    """In which the command is run; absolute."""
    plan: Path
    """The plan's file, as seen from there."""
    image: str = "brownout"
    """Of a container that has Brownout and the plan in it."""


def write(engine: str, plan: GameDay, where: Where, *, changes: Sequence[ClockChange]) -> Mapping[str, str]:
    """The files for one engine, by name.

    Args:
        engine: one of `ENGINES`.
        plan: whose calendar is written.
        where: the command's surroundings.
        changes: the dates on which the plan's hour does not exist or comes twice.

    Raises:
        InvalidInput: there are such dates. Engines skip them, move them or start twice, each in its own way.
    """
    if changes:
        first = changes[0]
        what = "does not exist" if first.kind == "skipped" else "comes twice"
        msg = (
            f"{plan.file}: on {first.wall:%Y-%m-%d} {first.wall:%H:%M} {what} in {plan.schedule.zone.key} (clocks "
            "change), and engines do not agree on what to do then; choose another hour"
        )
        raise InvalidInput(msg)
    return ENGINES[engine](plan, where)


def cron_of(schedule: Schedule) -> str:
    """The five fields in numbers: names, steps and a seventh day of the week are not known everywhere."""
    found = fields(schedule.cron)
    spans = ((found.minutes, 60), (found.hours, 24), (found.days, 31), (found.months, 12), (found.weekdays, 7))
    return " ".join("*" if len(values) == whole else _numbers(values, "-") for values, whole in spans)


def calendar_of(schedule: Schedule) -> str:
    """The same, as systemd writes it; `week` included, since it knows days of the week and of the month at once."""
    found = fields(schedule.cron)
    days = found.days
    if schedule.week is not None:
        days = tuple(day for day in days if (day - 1) // 7 + 1 == schedule.week)
    weekdays = "" if len(found.weekdays) == 7 else ",".join(_WEEKDAYS[day] for day in found.weekdays) + " "
    date = f"{_or_star(found.months, 12)}-{_or_star(days, 31)}"
    time = f"{_or_star(found.hours, 24)}:{_or_star(found.minutes, 60)}"
    return f"{weekdays}*-{date} {time}:00 {schedule.zone.key}"


def _or_star(values: Sequence[int], whole: int) -> str:
    return "*" if len(values) == whole else _numbers(values, "..", width=2)


def _numbers(values: Sequence[int], between: str, *, width: int = 1) -> str:
    """Runs of three and more as ranges: `1-5,8`."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(
        f"{run[0]:0{width}}{between}{run[-1]:0{width}}" if len(run) > 2 else ",".join(f"{one:0{width}}" for one in run)
        for run in runs
    )


def _kubernetes(plan: GameDay, where: Where) -> Mapping[str, str]:
    name = _label(plan)
    env = [{"name": "BROWNOUT_STATE_DIR", "value": "/state"}]
    mounts = [{"name": "state", "mountPath": "/state"}]
    volumes: list[Mapping[str, object]] = [
        {"name": "state", "persistentVolumeClaim": {"claimName": "brownout-state"}},
    ]
    if attached := plan.attachment.given:
        # Never the default of a pod's own account: the context is one that the plan names.
        env.append({"name": "KUBECONFIG", "value": "/kubeconfig/config"})
        mounts.append({"name": "kubeconfig", "mountPath": "/kubeconfig"})
        volumes.append({"name": "kubeconfig", "secret": {"secretName": "brownout-kubeconfig"}})
    container = {
        "name": "chaos",
        "image": where.image,
        "command": ["chaos", "gameday", "run", str(where.plan), "--if-due"],
        "env": env,
        "volumeMounts": mounts,
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _STOP,
        "containers": [container],
        "volumes": volumes,
    }
    job = {"backoffLimit": 0, "template": {"metadata": {"labels": {"app": name}}, "spec": pod}}
    manifest = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "schedule": cron_of(plan.schedule),
            "timeZone": plan.schedule.zone.key,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": int(plan.schedule.window),
            "jobTemplate": {"spec": job},
        },
    }
    head = [
        "The volume claim brownout-state keeps the journal: check-ins are made, and the last drills looked up, there.",
        "The image has Brownout, this plan and its experiments in it.",
    ]
    if attached:
        head.append("The secret brownout-kubeconfig has, as its key config, a kubeconfig with the plan's context.")
    return {f"{name}.cronjob.yaml": _head(plan, head) + _yaml(manifest)}


def _systemd(plan: GameDay, where: Where) -> Mapping[str, str]:
    name = _label(plan)
    # A percent sign begins a specifier in units: systemd.unit(5).
    folder, path = (str(one).replace("%", "%%") for one in (where.folder, where.plan))
    service = f"""[Unit]
Description=Game day: {plan.title.replace("%", "%%")}

[Service]
Type=oneshot
WorkingDirectory={folder}
ExecStart=/usr/bin/env chaos gameday run {_systemd_quoted(path)} --if-due
TimeoutStopSec={_STOP}
"""
    timer = f"""[Unit]
Description=Calendar of the game day: {plan.title.replace("%", "%%")}

[Timer]
OnCalendar={calendar_of(plan.schedule)}
AccuracySec=1s
# What was missed is not made up for: its people have gone home.
Persistent=false

[Install]
WantedBy=timers.target
"""
    return {f"{name}.service": _head(plan) + service, f"{name}.timer": _head(plan) + timer}


def _cron(plan: GameDay, where: Where) -> Mapping[str, str]:
    command = f"cd {shlex.quote(str(where.folder))} && chaos gameday run {shlex.quote(str(where.plan))} --if-due"
    head = ["CRON_TZ is cronie's; Debian's own cron has none: there, use a systemd timer."]
    # A percent sign ends the command in a crontab: crontab(5).
    line = f"{cron_of(plan.schedule)} {command}".replace("%", "\\%")
    text = f"CRON_TZ={plan.schedule.zone.key}\n{line}\n"
    return {f"{_label(plan)}.crontab": _head(plan, head) + text}


def _github_actions(plan: GameDay, where: Where) -> Mapping[str, str]:
    name = _label(plan)
    if "${{" in f"{where.plan} {plan.target}":
        # GitHub puts its own values in there before a shell sees the line: no quotes help.
        msg = f"{plan.file}: neither its path nor its target may hold '${{{{' in a workflow"
        raise InvalidInput(msg)
    run = f"chaos gameday run {shlex.quote(str(where.plan))} --if-due"
    workflow = {
        "name": f"Game day {name}",
        "on": {"schedule": [{"cron": cron_of(plan.schedule), "timezone": plan.schedule.zone.key}]},
        "permissions": {"contents": "read"},
        "concurrency": {"group": f"gameday-{plan.target or 'embedded'}", "cancel-in-progress": False},
        "jobs": {
            "drill": {
                "runs-on": ["self-hosted", "brownout"],
                "steps": [{"uses": "actions/checkout@v4"}, {"name": "Drill", "run": run}],
            }
        },
    }
    head = [
        "The runner is one of yours, with Brownout on it: its state folder holds the journal and the check-ins.",
        "GitHub may start it late; after the window the drill is not started any more.",
        "GitHub Enterprise Server may not know 'timezone' yet; without it the hours are UTC.",
    ]
    return {f"{name}.workflow.yaml": _head(plan, head) + _yaml(workflow)}


ENGINES: Mapping[str, Callable[[GameDay, Where], Mapping[str, str]]] = {
    "kubernetes": _kubernetes,
    "systemd": _systemd,
    "cron": _cron,
    "github-actions": _github_actions,
}


def _head(plan: GameDay, lines: Sequence[str] = ()) -> str:
    week = [] if plan.schedule.week is None else [f"Only week {plan.schedule.week} of the month counts (--if-due)."]
    texts = [f"Written by `chaos gameday schedule` from {plan.file.name}: {plan.title}", *lines, *week]
    return "".join(f"# {text}\n" for text in texts)


def _yaml(document: Mapping[str, object]) -> str:
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=120)


def _label(plan: GameDay) -> str:
    """A name that every engine takes: RFC 1123, and short enough for the job that a CronJob names after it (52)."""
    return "gameday-" + re.sub(r"[^a-z0-9]+", "-", plan.name.lower()).strip("-")[:44].rstrip("-")


def _systemd_quoted(text: str) -> str:
    # systemd.service(5), "Command lines": a dollar sign is doubled to stand for itself.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"'
