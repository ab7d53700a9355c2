"""The files in docker/, as far as they can be checked without Docker, Slurm and Kubernetes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.command_lines import parsed

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docker"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
FILES = sorted([p for p in FOLDER.iterdir() if p.name != ".env"] + [ROOT / ".dockerignore"])
OURS = ("driver", "worker", "worker-gpu", "dashboard")
Start = Callable[..., subprocess.Popen[str]]
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def compose(**environment: str) -> dict[str, Any]:
    """The compose file under an environment, which overrides its defaults."""

    def value(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        return environment.get(name) or (default if kind == "-" else f"<{name}>")

    text = (FOLDER / "compose.yaml").read_text()
    document: dict[str, Any] = yaml.safe_load(VARIABLE.sub(value, text))
    return document


def kubernetes() -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
    return {d["metadata"]["name"] if d["kind"] == "Job" else d["kind"]: d for d in documents}


def container(job: dict[str, Any]) -> dict[str, Any]:
    (only,) = job["spec"]["template"]["spec"]["containers"]
    return dict(only)


def command_lines() -> Iterator[str]:
    """What the files run, and what they ask people to run, without the `moo-bnas` before it."""
    plain = compose()["services"]
    example = compose(RUN_OPTIONS="--mode scalar --generations 10", GPU="cuda:1")["services"]
    for name in OURS:
        yield plain[name]["command"].strip()
        yield example[name]["command"].strip()
    for name in ("moo-bnas-driver", "moo-bnas-workers"):
        yield shlex.join(container(kubernetes()[name])["args"])
    for path in FILES:
        yield from re.findall(r"(?m)^#(?:   moo-bnas| .*slurm\.sh) (\w.*)$", path.read_text())


@pytest.fixture(autouse=True)
def _level_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "moo_bnas")  # parsing sets it; this puts it back


@pytest.mark.parametrize("line", sorted(set(command_lines())))
def test_every_command_line_is_one_of_moo_bnas(line: str) -> None:
    parsed(line)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_file_opens_with_the_command_that_uses_it(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#!")]
    assert re.match(r"# (docker|kubectl|sbatch|cp|git) \S", lines[0])
    assert lines[1] == "#"
    assert re.match(r"# \S", lines[2])


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_no_file_holds_a_password_or_names_a_host(path: Path) -> None:
    text = path.read_text()
    for key, value in re.findall(r"(\w*PASSWORD|\w*SECRET|\w*TOKEN)\s*[:=]\s*(.*)", text):
        assert value.startswith(("${", "''", "change-me")), key
    for login, host in re.findall(r"://([^\s/]*@)?([\w.-]+)", text):
        assert ":" not in login
        assert host in ("postgres", "postgres.example", "bucket")


def test_the_compose_file_follows_the_specification() -> None:
    pytest.importorskip("check_jsonschema", reason="needs the Python package check-jsonschema")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*check, str(FOLDER / "compose.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_compose_refuses_to_start_without_a_password() -> None:
    uses = [found.groups() for found in VARIABLE.finditer((FOLDER / "compose.yaml").read_text())]
    assert "?" in [kind for name, kind, _ in uses if name == "POSTGRES_PASSWORD"]
    services = compose(POSTGRES_PASSWORD="secret")["services"]  # noqa: S106 (of no server)
    assert services["postgres"]["environment"]["POSTGRES_PASSWORD"] == "secret"
    for name in OURS:
        assert services[name]["environment"]["PGPASSWORD"] == "secret"


def test_the_example_environment_has_every_variable_of_compose_and_its_default() -> None:
    text = (FOLDER / "compose.yaml").read_text()
    defaults = {name: default for name, kind, default in VARIABLE.findall(text) if kind == "-"}
    lines = re.findall(r"(?m)^(\w+)=(.*)$", (FOLDER / ".env.example").read_text())
    defaults.pop("GPU")  # of one command, not of the installation
    assert dict(lines) == {**defaults, "POSTGRES_PASSWORD": "''"}
    assert ".env" in (FOLDER / ".gitignore").read_text().splitlines()


def test_compose_publishes_the_dashboard_only_and_to_this_machine_only() -> None:
    ports = {n: s["ports"] for n, s in compose()["services"].items() if "ports" in s}
    assert ports == {"dashboard": ["127.0.0.1:8080:8080"]}


def test_compose_waits_for_the_database_and_keeps_what_it_holds() -> None:
    document = compose()
    services = document["services"]
    assert "pg_isready" in services["postgres"]["healthcheck"]["test"]
    assert services["postgres"]["volumes"] == ["database:/var/lib/postgresql"]
    shared = [
        "data:/srv/moo-bnas/data",
        "artifacts:/srv/moo-bnas/artifacts",
        "runs:/srv/moo-bnas/runs",
    ]
    assert all(services[name]["volumes"] == shared for name in OURS)
    assert set(document["volumes"]) == {"database", "data", "artifacts", "runs"}
    elsewhere = compose(DATA_ROOT="/images")["services"]["worker"]["volumes"]
    assert elsewhere[0] == "/images:/srv/moo-bnas/data"
    for name in OURS:
        assert services[name]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
        assert services[name]["restart"] == "on-failure"


def test_compose_scales_workers_and_gives_the_gpu_to_the_one_that_asks() -> None:
    services = compose(WORKERS="5")["services"]
    assert services["worker"]["deploy"] == {"replicas": 5}
    (device,) = services["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert services["worker-gpu"]["profiles"] == ["gpu"]
    assert all("profiles" not in s for n, s in services.items() if n != "worker-gpu")


def test_driver_and_workers_serve_the_same_run() -> None:
    services = compose(STUDY_NAME="mine")["services"]
    for name in ("driver", "worker", "worker-gpu"):
        assert parsed(services[name]["command"]).params["study_name"] == "mine"
    jobs = kubernetes()
    driver, worker = (
        parsed(shlex.join(container(jobs[name])["args"]))
        for name in ("moo-bnas-driver", "moo-bnas-workers")
    )
    assert driver.params["study_name"] == worker.params["study_name"]
    assert driver.params["workers"] == 0


@pytest.mark.parametrize("name", ["moo-bnas-driver", "moo-bnas-workers"])
def test_kubernetes_runs_it_without_rights_and_restarts_it(name: str) -> None:
    job = kubernetes()[name]
    pod = job["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "OnFailure"
    assert pod["terminationGracePeriodSeconds"] >= 30
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container(job)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container(job)["envFrom"] == [{"secretRef": {"name": "moo-bnas"}}]
    assert "env" not in container(job)
    assert set(container(job)["resources"]) == {"requests", "limits"}


def test_kubernetes_has_one_driver_and_a_work_queue_of_workers() -> None:
    jobs = kubernetes()
    assert "parallelism" not in jobs["moo-bnas-driver"]["spec"]
    assert jobs["moo-bnas-workers"]["spec"]["parallelism"] > 1
    assert "completions" not in jobs["moo-bnas-workers"]["spec"]
    assert set(jobs["Secret"]["stringData"]) == {"MOO_BNAS_STORAGE", "PGPASSWORD"}


def test_the_image_runs_moo_bnas_itself_and_not_as_root() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]
    assert 'ENTRYPOINT ["moo-bnas"]' in last_stage  # no shell between it and SIGTERM
    assert "moo-bnas" in project["scripts"]
    (user,) = re.findall(r"(?m)^USER (\d+)$", last_stage)
    assert int(user) > 0
    (extras,) = re.findall(r"(?m)^ARG EXTRAS=(.*)$", DOCKERFILE)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_the_image_installs_dependencies_before_it_copies_the_source() -> None:
    assert DOCKERFILE.index("pip install --requirement") < DOCKERFILE.index("COPY moo_bnas")


def test_the_image_copies_what_the_wheel_is_made_of(tmp_path: Path) -> None:
    copies = re.findall(r"(?m)^COPY ([^-].*) (\S+)$", DOCKERFILE)
    sources = {source for paths, _ in copies for source in paths.split()}
    sent = re.findall(r"(?m)^!(.*)$", (ROOT / ".dockerignore").read_text())
    assert sources == set(sent)
    for source in sources:
        copy: Callable[..., object] = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / source)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert "moo_bnas/studies/digits.toml" in zipfile.ZipFile(wheel).namelist()


@pytest.fixture
def slurm(tmp_path: Path) -> Start:
    """Starts docker/slurm.sh as Slurm does, with a `moo-bnas` that prints how it was called."""
    stub = tmp_path / "moo-bnas"
    stub.write_text('#!/bin/sh\nprintf "%s\\n" $$ "$MOO_BNAS_STORAGE" $OMP_NUM_THREADS "$*"\n')
    stub.chmod(0o755)

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        return subprocess.Popen(
            [str(FOLDER / "slurm.sh"), *arguments],
            env={"PATH": path, "HOME": str(tmp_path), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_the_slurm_script_turns_into_the_command_that_it_is_given(
    slurm: Start, tmp_path: Path
) -> None:
    secret = tmp_path / ".moo-bnas-storage"
    secret.write_text("postgresql+psycopg://me:secret@host/name\n")
    secret.chmod(0o600)
    line = ("worker", "--study-name", "a b", "--device", "cuda")
    process = slurm(*line)
    pid, url, threads, arguments = process.communicate()[0].splitlines()
    assert int(pid) == process.pid  # Slurm's SIGTERM reaches it
    assert url == "postgresql+psycopg://me:secret@host/name"
    assert threads == "1"
    assert arguments == " ".join(line)

    process = slurm(*line, MOO_BNAS_STORAGE="sqlite:///other.db")
    assert process.communicate()[0].splitlines()[1] == "sqlite:///other.db"


def test_the_slurm_script_refuses_a_password_that_others_may_read(
    slurm: Start, tmp_path: Path
) -> None:
    (tmp_path / ".moo-bnas-storage").write_text("postgresql+psycopg://me:secret@host/name\n")
    (tmp_path / ".moo-bnas-storage").chmod(0o640)
    process = slurm("worker")
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert "chmod 600" in err
    assert "secret" not in err


def test_the_slurm_script_says_where_to_write_the_url(slurm: Start, tmp_path: Path) -> None:
    process = slurm("worker")
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    path = tmp_path / ".moo-bnas-storage"
    expected = f"cannot read {path}; write the URL of the storage into it, and chmod 600 {path}\n"
    assert err == expected


def test_slurm_sends_sigterm_to_the_command_before_its_time_is_up() -> None:
    options = re.findall(r"(?m)^#SBATCH --([\w-]+)(?:=(.*))?$", (FOLDER / "slurm.sh").read_text())
    assert dict(options)["signal"] == "B:TERM@60"  # B: to what the script has turned into
    assert "requeue" in dict(options)
