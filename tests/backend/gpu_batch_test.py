#!/usr/bin/env python3
"""jobs/pbt-gpu.sbatch with srun, scontrol and NVIDIA's server in effigy: MPS runs beside the
ranks, in a folder of the job's own, outlives the USR1 that SLURM sends to all steps, and is
ended with the job, which asks to be queued again if it was stopped.

Usage: gpu_batch_test.py BATCH_SCRIPT
"""
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile

PROGRAMS = {
    # What stands after its options, in the place of the step.
    "srun": """while [[ $1 == --* ]]; do shift; done
exec "$@"
""",
    "nvidia-cuda-mps-control": """[ "$1" = -f ] || exit 1
echo $$ >"$CUDA_MPS_PIPE_DIRECTORY/control"
exec sleep 60
""",
    "pbt_mpi": """echo "$@" >"$OUT/words"
mps=$(cat "$CUDA_MPS_PIPE_DIRECTORY/control") || exit 1
echo "$mps" >"$OUT/mps"
kill -USR1 "$mps" && sleep 0.3 && kill -0 "$mps" || exit 2
exit "$RESULT"
""",
    "scontrol": """echo "$@" >"$OUT/scontrol"
""",
}


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def run(script, folder, result):
    environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "OUT": folder,
                   "SLURM_JOB_ID": f"test-{os.getpid()}", "SLURM_JOB_NUM_NODES": "1",
                   "RESULT": str(result)}
    done = subprocess.run(["bash", script, "my job.toml", "--set", "seed=2"], env=environment,
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == result, (done.returncode, done.stdout, done.stderr)
    with open(f"{folder}/words") as file:
        assert file.read() == "my job.toml --set seed=2\n"
    with open(f"{folder}/mps") as file:
        mps = int(file.read())
    if lives(mps):
        os.kill(mps, signal.SIGKILL)
        raise AssertionError("the server is still there")


def main(script):
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/bin")
        for name, text in PROGRAMS.items():
            path = f"{folder}/bin/{name}"
            with open(path, "w") as file:
                file.write("#!/bin/bash\n" + text)
            os.chmod(path, stat.S_IRWXU)
        run(script, folder, 0)
        assert not os.path.exists(f"{folder}/scontrol")
        run(script, folder, 75)
        with open(f"{folder}/scontrol") as file:
            assert file.read() == f"requeue test-{os.getpid()}\n"
    shutil.rmtree(f"/tmp/pbt-mps-test-{os.getpid()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
