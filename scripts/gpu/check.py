"""Builds, proves and times this tree on a machine with a CUDA device, within one call of at most ten minutes.

    bash .gpu/check.sh [--seconds 585] [--device cpu] [--only STEP,STEP] [--kernels FILE.so]

Needs Python with a PyTorch, nvcc, CMake and a C++20 compiler; Node and the packages come along in .gpu/ (npm
run gpu:bundle). Steps are in the order of their worth, each with a limit; after each the summary so far is
printed and results.json is written to $OUT (or ./gpu-results), so that a call that is cut off still tells what
it found. --device cpu tries what needs no CUDA; --kernels takes a built library in place of building one.
Exit code 0: all passed; 1: something failed or did not fit; 2: no such device.
"""

import argparse
import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

BUNDLE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.getcwd()
BUILD = os.path.join(ROOT, "build", "gpu")
RELEASE = os.path.join(BUILD, "Release")
STARTED = time.monotonic()
# Kept back for the last summary.
SPARE = 5
BENCHMARKS = "cuda-step"


class Check:
    def __init__(self, given):
        self.given = given
        self.out = os.environ.get("OUT") or os.path.join(ROOT, "gpu-results")
        os.makedirs(self.out, exist_ok=True)
        # The packages are unpacked beside the build.
        self.lock = threading.RLock()
        self.log = open(os.path.join(self.out, "log.txt"), "w")
        self.result = {"steps": []}
        self.scratch = tempfile.mkdtemp(prefix="m3l-gpu-")
        self.environment = dict(os.environ, PYTHONUNBUFFERED="1", PIP_NO_INDEX="1", M3L_ADDON_DIR=RELEASE)

    def left(self):
        return self.given.seconds - SPARE - (time.monotonic() - STARTED)

    def step(self, name, limit, command, **more):
        """Runs a command for at most `limit` seconds; its exit code (None: no time left) and its output."""
        limit = min(limit, self.left())
        if limit < 3:
            self.done(name, None, 0, "no time was left")
            return None, ""
        began = time.monotonic()
        self.log.write(f"\n== {name}: {' '.join(command)}\n")
        child = subprocess.Popen(command, cwd=ROOT, env={**self.environment, **more}, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
        late = threading.Event()

        def stop():
            late.set()
            os.killpg(child.pid, signal.SIGKILL)

        timer = threading.Timer(limit, stop)
        timer.start()
        lines = []
        for line in child.stdout:
            lines.append(line)
            self.log.write(line)
            self.log.flush()
        code = child.wait()
        timer.cancel()
        output = "".join(lines)
        told = "" if code == 0 else ("stopped by its limit\n" if late.is_set() else "") + excerpt(lines)
        self.done(name, code, time.monotonic() - began, told)
        return code, output

    def done(self, name, code, seconds, told=""):
        word = "ok" if code == 0 else "DID NOT RUN" if code is None else "FAILED"
        with self.lock:
            self.result["steps"].append({"name": name, "ok": code == 0, "seconds": round(seconds, 1), "told": told[-3000:]})
            print(f"== {name}: {word}, {seconds:.0f} s (of {time.monotonic() - STARTED:.0f})", flush=True)
            if told:
                print(told, flush=True)
            self.write()

    def note(self, key, value):
        with self.lock:
            self.result[key] = value
            self.write()

    def write(self):
        self.result["seconds"] = round(time.monotonic() - STARTED)
        path = os.path.join(self.out, "results.json")
        with open(path + ".tmp", "w") as file:
            json.dump(self.result, file, indent=1)
        os.replace(path + ".tmp", path)


def excerpt(lines):
    """What a failed step said: what names errors, else its end."""
    errors = [line for line in lines if " error: " in line or line.startswith(("FAIL ", "FAILED", "Error", "AssertionError"))]
    return "".join(line[:400] for line in (errors or lines)[-20:])


def answer(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def json_lines(output):
    found = []
    for line in output.splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except ValueError:
                pass  # cut short
    return found


def machine(check):
    """Facts of the machine, and torch's folder; None where it will not do."""
    try:
        import torch
    except ImportError as fault:
        print(f"check: python3 cannot import torch: {fault}")
        return None
    cuda = check.given.device == "cuda"
    if cuda and not torch.cuda.is_available():
        print(f"check: torch {torch.__version__} (CUDA {torch.version.cuda}) sees no device; --device cpu tries the rest")
        return None
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    facts = {
        "device": torch.cuda.get_device_name(0) if cuda else "cpu",
        "capability": "".join(map(str, torch.cuda.get_device_capability(0))) if cuda else None,
        "memory": torch.cuda.get_device_properties(0).total_memory if cuda else None,
        "driver": answer("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") or None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "nvcc": (answer(nvcc, "--version").splitlines() or [None])[-1],
        "compiler": (answer("c++", "--version").splitlines() or [None])[0],
        "cmake": (answer("cmake", "--version").splitlines() or [None])[0],
        "commit": read(os.path.join(BUNDLE, "commit")) or answer("git", "rev-parse", "--short", "HEAD") or None,
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    }
    check.note("machine", facts)
    print(json.dumps(facts, indent=1), flush=True)
    return {**facts, "nvcc": nvcc, "folder": os.path.dirname(torch.__file__)}


def read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return None


def unpack(check):
    """Node, the packages and the compiled library."""
    began = time.monotonic()
    check.node = shutil.which("node")
    packed = os.path.join(BUNDLE, "node.xz")
    try:
        if os.path.exists(packed):
            check.node = os.path.join(check.scratch, "node")
            with lzma.open(packed) as source, open(check.node, "wb") as target:
                shutil.copyfileobj(source, target)
            os.chmod(check.node, 0o755)
        modules = os.path.join(BUNDLE, "modules.tar.xz")
        if os.path.exists(modules) and not os.path.exists(os.path.join(ROOT, "node_modules")):
            with tarfile.open(modules) as archive:
                # Python before 3.11.4 has no filters, and does as this one does.
                trusted = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
                archive.extractall(ROOT, **trusted)
        if check.node is None:
            raise OSError("there is no node, neither in .gpu/ nor on the PATH")
        version = answer(check.node, "--version")
        check.environment["PATH"] = os.path.dirname(check.node) + os.pathsep + check.environment.get("PATH", os.defpath)
        check.done("unpack", 0 if version else 1, time.monotonic() - began, "" if version else f"{check.node} does not run")
    except (OSError, lzma.LZMAError, tarfile.TarError) as fault:
        check.done("unpack", 1, time.monotonic() - began, str(fault))


def build(check, facts):
    """The kernels' library, or None."""
    if check.given.kernels:
        return check.given.kernels
    cuda = check.given.device == "cuda"
    modules = os.path.join(ROOT, "node_modules")
    code, _ = check.step("configure", 60, [
        "cmake", "-S", ROOT, "-B", BUILD, *(["-G", "Ninja"] if shutil.which("ninja") else []),
        f"-DM3L_CUDA={'ON' if cuda else 'OFF'}", f"-DLIBTORCH_DIR={facts['folder']}",
        *([f"-DCMAKE_CUDA_COMPILER={facts['nvcc']}", f"-DCMAKE_CUDA_ARCHITECTURES={facts['capability']}-real"] if cuda else []),
        f"-DCMAKE_JS_INC={modules}/node-api-headers/include;{modules}/node-addon-api",
        f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={RELEASE}",
    ])
    if code != 0:
        return None
    target = "m3l_kernels_cuda" if cuda else "m3l_kernels"
    code, _ = check.step("kernels", 240, ["cmake", "--build", BUILD, "--target", target, "--parallel", str(os.cpu_count())])
    return os.path.join(RELEASE, f"{target}.so") if code == 0 else None


def twin(check, kernels):
    script = os.path.join(BUNDLE, "twin.py")
    _, output = check.step("twin", 150, [sys.executable, script, kernels, "--device", check.given.device, "--times"])
    found = json_lines(output)
    if found:
        check.note("twin", found[-1])
        print(f"{found[-1]['checks']} checks, {len(found[-1]['failures'])} failures", flush=True)


def bench(check):
    _, output = check.step("bench", 150, [check.node, "bench/main.mjs", "--json", "--runs", "3", "--only", BENCHMARKS])
    check.note("bench", json_lines(output))


def tests(check):
    report = os.path.join(check.scratch, "tests.json")
    check.step("tests", 150, [
        check.node, "node_modules/vitest/vitest.mjs", "run", "--reporter=default", "--reporter=json",
        f"--outputFile.json={report}", "--maxWorkers=6", "test/kernels", "test/torch/cuda.test.ts",
        "test/torch/cuda-graph.test.ts", "test/learning/captured-step.test.ts",
    ], OMP_NUM_THREADS="2")
    text = read(report)
    if text is None:
        return
    found = json.loads(text)
    failures = [
        f"{os.path.relpath(file['name'], ROOT)}: {one['fullName']}: {''.join(one['failureMessages']).splitlines()[0][:200]}"
        for file in found["testResults"] for one in file["assertionResults"] if one["status"] == "failed"
    ]
    check.note("tests", {"passed": found["numPassedTests"], "failed": found["numFailedTests"],
                         "skipped": found["numPendingTests"], "failures": failures})


def sanitizer(check, kernels):
    program = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    if not os.path.exists(program):
        check.done("sanitizer", None, 0, "there is no compute-sanitizer")
        return
    script = os.path.join(BUNDLE, "twin.py")
    check.step("sanitizer", 90, [program, "--tool", "memcheck", "--error-exitcode", "3", sys.executable, script, kernels, "--quick"])


def operators(check):
    """PyTorch's operator database on the device: FEATURES.md's column."""
    file = os.path.join(check.scratch, "operators.jsonl")
    code, _ = check.step("operators", 90, [check.node, "scripts/op-db/main.mjs", "test/fixtures/op-db.jsonl.gz", f"--json={file}"],
                         M3L_OP_DB_DEVICE=check.given.device)
    if code == 0:
        outcomes = json_lines(read(file) or "")
        there = [one for one in outcomes if one.get("onDevice")]
        check.note("operators", {one["name"]: one["status"] for one in there})
        check.note("operatorFaults", [f"{one['name']}: {' '.join(one['detail'].split())[:300]}" for one in there if one["status"] != "equal"])


def sass(check):
    """That scripts/gpu/sass.mjs, which wrote docs/gpu.md without it, counts as cuobjdump does."""
    check.step("sass", 60, [check.node, "scripts/gpu/sass.mjs", "--compare"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=585)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--only", default="")
    parser.add_argument("--kernels", default="")
    check = Check(parser.parse_args())
    wanted = [name for name in check.given.only.split(",") if name]
    asked = lambda name: not wanted or name in wanted
    facts = machine(check)
    if facts is None:
        sys.exit(2)
    check.environment["LIBTORCH"] = facts["folder"]
    # While the kernels compile.
    unpacking = threading.Thread(target=unpack, args=(check,))
    unpacking.start()
    kernels = build(check, facts) if check.given.kernels or asked("kernels") else None
    if kernels and asked("twin"):
        twin(check, kernels)
    unpacking.join()
    built = not asked("addon")
    if asked("addon"):
        # What the steps below open; process groups are built for other libtorchs than this machine's may be.
        parts = sorted({"m3l_loader", "m3l_image", "m3l_core", "m3l_kernels", os.path.basename(kernels or "m3l_kernels.so")[:-3]})
        code, _ = check.step("addon", 120, [
            "cmake", "--build", BUILD, "--parallel", str(os.cpu_count()), "--target", *parts,
            # One call tells of all that does not compile.
            *(["--", "-k", "0"] if shutil.which("ninja") else []),
        ])
        built = code == 0
    for name, run in (("bench", bench), ("tests", tests), ("operators", operators)):
        if built and asked(name):
            run(check)
    if kernels and check.given.device == "cuda" and asked("sanitizer"):
        sanitizer(check, kernels)
    if check.node and check.given.device == "cuda" and asked("sass"):
        sass(check)
    failed = [step["name"] for step in check.result["steps"] if not step["ok"]]
    print(f"check: {len(check.result['steps'])} steps, not ok: {', '.join(failed) or 'none'}; {check.out}/results.json", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
