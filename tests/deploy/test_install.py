"""The steps of the Dockerfile and of the install script in a clean Debian tree, and a run there as the user they make.

Skipped by default (`make slow`): it needs root, debootstrap and the package mirrors, and takes some minutes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import ROOT

DEPLOY = ROOT / "docs" / "deploy"
SUITE = "bookworm"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
PARTS = ("stream", "nodes", "tools", "configs", "docs", "run_stream.py", "LICENSE")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="A CLEAN DEBIAN TREE NEEDS ROOT, so the install steps are not run"),
    pytest.mark.skipif(
        shutil.which("debootstrap") is None, reason="DEBOOTSTRAP IS NOT HERE, so the install steps are not run"
    ),
]


@pytest.fixture(scope="module")
def clean_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Debian as it is installed first; $DEBIAN_TREE names one that is there already."""
    if there := os.environ.get("DEBIAN_TREE"):
        return Path(there)
    tree = tmp_path_factory.mktemp("debian") / "tree"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", SUITE, tree, MIRROR], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"NO DEBIAN TREE CAN BE MADE HERE, so the install steps are not run: {made.stdout[-300:]}")
    return tree


class Tree:
    """A tree that commands are run in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LANG": "C.UTF-8"}

    def run(self, command: str, user: str = "root", **env: str) -> str:
        answer = subprocess.run(
            ["chroot", f"--userspec={user}", self.path, "/bin/sh", "-ec", command],
            capture_output=True, text=True, check=False, env={**self.env, **env}, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert answer.returncode == 0, f"{command}\n{answer.stdout[-2000:]}\n{answer.stderr[-2000:]}"
        return answer.stdout

    def copy_sources(self, into: str) -> None:
        target = self.path / into.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        for file in (*(ROOT / part for part in PARTS), *ROOT.glob("requirements*.txt"), ROOT / "constraints.txt"):
            if file.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(file, target / file.name, ignore=ignored, dirs_exist_ok=True)
            else:
                shutil.copy(file, target)


@contextmanager
def a_copy(clean: Path, path: Path) -> Iterator[Tree]:
    subprocess.run(["cp", "-a", clean, path], check=True)
    shutil.copy("/etc/resolv.conf", path / "etc/resolv.conf")
    shutil.copy("/etc/hosts", path / "etc/hosts")
    mounts = [("proc", "proc", "/proc"), ("tmpfs", "tmpfs", "/dev/shm"), ("tmpfs", "tmpfs", "/run")]
    tree, mounted = Tree(path), []
    bundle = os.environ.get("PIP_CERT")  # a mirror behind a certificate of the site's own
    if bundle:
        (path / "etc/ssl").mkdir(exist_ok=True)
        shutil.copy(bundle, path / "etc/ssl/site.crt")
        tree.env |= {"PIP_CERT": "/etc/ssl/site.crt"}
    try:
        for kind, source, target in mounts:
            (path / target.lstrip("/")).mkdir(exist_ok=True)
            mount = ["mount", "-t", kind, source, str(path / target.lstrip("/"))]
            made = subprocess.run(mount, capture_output=True, text=True, check=False)
            if made.returncode:
                pytest.skip(f"NOTHING MAY BE MOUNTED HERE, so the install steps are not run: {made.stderr}")
            mounted.append(mount[-1])
        yield tree
    finally:
        for target in reversed(mounted):
            subprocess.run(["umount", "-l", target], check=True)
        shutil.rmtree(path, ignore_errors=True)


def runs_there(tree: Tree, env: dict[str, str]) -> None:
    """A run of the demo as the service's user, with its folders; and the doctor, which finds nothing to mend."""
    user, python = "sam-pt-live:sam-pt-live", "cd /opt/sam-pt-live && .venv/bin/python"
    tree.run(
        f"{python} run_stream.py --no-dashboard --frames 40 --state /var/lib/sam-pt-live "
        "--record /var/lib/sam-pt-live/recordings/ --realtime --summary /var/lib/sam-pt-live/summary.json",
        user, **env,
    )  # fmt: skip
    summary = json.loads((tree.path / "var/lib/sam-pt-live/summary.json").read_text())
    assert summary["frames"]["decoded"] > 0
    assert summary["truth"]["mean_iou"] > 0.5
    assert (tree.path / "var/lib/sam-pt-live/state.json").exists()
    found = json.loads(tree.run(f"{python} tools/ctl.py doctor lite --state /var/lib/sam-pt-live --json", user, **env))
    assert [f for f in found["findings"] if f["state"] == "problem"] == []
    assert "packages" in {f["check"] for f in found["findings"]}


def test_the_steps_of_the_dockerfile_give_a_tree_that_runs(clean_tree, tmp_path):
    text = (DEPLOY / "Dockerfile").read_text().partition("\nFROM lite AS cuda")[0]
    variables = dict(pair.split("=", 1) for pair in re.search(r"^ENV (.*)$", text, re.M)[1].split())
    steps = re.findall(r"^RUN (.*)$", text, re.M)
    assert len(steps) == 3
    with a_copy(clean_tree, tmp_path / "tree") as tree:
        tree.copy_sources("/opt/sam-pt-live")
        for step in steps:
            tree.run(f"cd /opt/sam-pt-live && {step}")
        runs_there(tree, variables)


def test_the_install_script_gives_a_tree_that_runs_and_a_unit_that_systemd_takes(clean_tree, tmp_path):
    with a_copy(clean_tree, tmp_path / "tree") as tree:
        tree.copy_sources("/srv/checkout")
        for _ in range(2):  # the second time brings it up to date
            assert "systemctl enable" in tree.run("/srv/checkout/docs/deploy/install.sh")
            (tree.path / "etc/sam-pt-live/camera.yaml").write_text("base: lite\n")
        assert (tree.path / "etc/sam-pt-live/camera.yaml").read_text() == "base: lite\n"
        assert (tree.path / "etc/sam-pt-live/environment").stat().st_mode & 0o777 == 0o600
        folders = ("/run/sam-pt-live", "/var/lib/sam-pt-live", "/var/cache/sam-pt-live")  # those that systemd makes
        tree.run(f"install -d -m 700 -o sam-pt-live -g sam-pt-live {' '.join(folders)}")
        unit = (tree.path / "etc/systemd/system/sam-pt-live.service").read_text()
        variables = dict(pair.split("=", 1) for pair in re.search(r"^Environment=(.*)$", unit, re.M)[1].split())
        runs_there(tree, variables)
        tree.run("apt-get install -qq --yes --no-install-recommends systemd")
        assert tree.run("systemd-analyze verify sam-pt-live.service") == ""
