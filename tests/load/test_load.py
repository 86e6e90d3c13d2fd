"""Hostile clients, beside a consumer and a client that behave: nobody else notices them, and no process dies.

A short part runs with all tests; `make load` runs the rest, which takes minutes and wants a machine that is idle.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from load.attacks import ATTACKS
from load.run_under_load import RunUnderLoad, settled
from running import ROOT

QUIET_S, ATTACK_S, SMOKE_S = 5.0, 10.0, 0.7
NOISE = 0.05  # undisturbed rates before and after an attack that differ by more: others use the machine


@pytest.mark.load
def test_a_consumer_keeps_its_rate_and_no_process_grows_or_is_replaced(start):
    under_load = RunUnderLoad(start, "--set", "control.max_objects=3")
    first = quiet = under_load.measure(QUIET_S)
    print(f"\nquiet: {quiet.rate_hz:.2f} masks/s, longest reply {1000 * quiet.longest_reply_s:.0f} ms")
    assert quiet.rate_hz > 5
    names = {pid: name for name, pid in under_load.pids.items()}
    faults = []
    for attack in ATTACKS:
        for attempt in (1, 2):
            before, attacked = quiet, under_load.measure(ATTACK_S, attack)
            assert under_load.lives(), f"{attack}\n{under_load.run.output}"
            settled(under_load)
            quiet = under_load.measure(QUIET_S)
            if attempt == 1 and abs(quiet.rate_hz - before.rate_hz) > NOISE * first.rate_hz:
                print(
                    f"{attack}: again, since {before.rate_hz:.2f} masks/s came before it and {quiet.rate_hz:.2f} after"
                )
                continue
            break
        kept = attacked.rate_hz / min(before.rate_hz, quiet.rate_hz)
        growth = {names[pid]: mb / first.peak_mb[pid] for pid, mb in attacked.peak_mb.items()}
        memory = ", ".join(f"{name} {factor:.2f}" for name, factor in growth.items())
        print(
            f"{attack}: {attacked.rate_hz:.2f} masks/s ({100 * kept:.0f} % of {before.rate_hz:.2f} before, "
            f"{quiet.rate_hz:.2f} after), longest reply {1000 * attacked.longest_reply_s:.0f} ms\n"
            f"    times the quiet memory: {memory}"
        )
        if kept < 0.9:
            faults.append(f"{attack}: {100 * kept:.0f} % of the undisturbed rate")
        if attacked.longest_reply_s > 1.0:
            faults.append(f"{attack}: a request was answered after {attacked.longest_reply_s:.2f} s")
        faults += [f"{attack}: {name} has {f:.2f} times its memory" for name, f in growth.items() if f > 1.5]
    assert not faults, "\n".join(faults)


def test_no_attack_ends_a_process_or_leaves_a_client_without_reply(start):
    under_load = RunUnderLoad(start, "--set", "control.max_objects=3")
    quiet = under_load.measure(1.0)
    for attack in ATTACKS:
        attacked = under_load.measure(SMOKE_S, attack)
        assert attacked.longest_reply_s < 15.0, attack
        for pid, mb in attacked.peak_mb.items():
            assert mb < 1.5 * quiet.peak_mb[pid] + 30, (attack, pid, under_load.pids)
    settled(under_load)
    assert under_load.lives(), under_load.run.output


@pytest.mark.load
def test_hostile_clients_of_the_page_cost_the_graph_nothing_and_are_counted(start):
    under_load = RunUnderLoad(start, "--web", "127.0.0.1:0")
    url, cookie = log_in(under_load.run.output)
    quiet = under_load.measure(QUIET_S)
    began_s = time.monotonic()
    command = [sys.executable, str(ROOT / "tests" / "web" / "hostile.py"), url, cookie]
    attacker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    rates, peak_mb, web = [], 0.0, under_load.pids["web"]
    while attacker.poll() is None:
        attacked = under_load.measure(QUIET_S)
        rates.append(attacked.rate_hz)
        peak_mb = max(peak_mb, attacked.peak_mb[web])
    done = json.loads(attacker.communicate()[0])
    after = under_load.measure(QUIET_S)
    mean_hz, quiet_hz = sum(rates) / len(rates), min(quiet.rate_hz, after.rate_hz)
    print(f"\n{done} in {time.monotonic() - began_s:.0f} s")
    print(f"masks/s: quiet {quiet_hz:.2f}, attacked {mean_hz:.2f} (each {QUIET_S:g} s: {[round(r, 1) for r in rates]})")
    print(f"the page's MB: {quiet.peak_mb[web]:.0f} quiet, {peak_mb:.0f} attacked, {after.peak_mb[web]:.0f} after")
    counts = metrics(url, cookie)
    print({name: value for name, value in counts.items() if "malformed" in name or "refused" in name})
    assert under_load.lives(), under_load.run.output
    assert mean_hz > 0.9 * quiet_hz
    assert peak_mb < 1.5 * quiet.peak_mb[web]
    assert counts['sam_pt_web_malformed_total{kind="websocket"}'] == done["malformed_messages"]
    assert counts['sam_pt_web_malformed_total{kind="http"}'] > 0.4 * done["malformed_http"]
    assert counts["sam_pt_web_connections_refused_total"] > 0
    assert done["slow_loris"] == 100


def log_in(output: str) -> tuple[str, str]:
    """The page's address and a Cookie header, of the link that the log says."""
    found = re.search(r"the page is at (\S+)", output)
    assert found, output

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: Any, **kwargs: Any) -> None:
            return None

    try:
        urllib.request.build_opener(Stay).open(found[1], timeout=30)
    except urllib.error.HTTPError as answer:
        return found[1].partition("?")[0], answer.headers["Set-Cookie"].partition(";")[0]
    raise AssertionError("no cookie")


def metrics(url: str, cookie: str) -> dict[str, float]:
    """What the page's server counts."""
    request = urllib.request.Request(url + "metrics", headers={"Cookie": cookie})
    with urllib.request.urlopen(request, timeout=30) as answer:
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
