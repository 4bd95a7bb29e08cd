# Copyright: the knockout authors. SPDX-License-Identifier: Apache-2.0
"""A Spack package, untested: where this was written there was no Spack. To use it:

    mkdir -p repo/packages/knockout && cp cmake/recipes/spack/package.py repo/packages/knockout
    printf 'repo:\n  namespace: local\n' >repo/repo.yaml && spack repo add $PWD/repo
    spack dev-build knockout@main          # at the root of a clone
"""
from spack.package import *


class Knockout(CMakePackage, CudaPackage):
    """Attention-knockout ablations of language models as one MPI job."""

    license("Apache-2.0")
    version("main")

    depends_on("c", type="build")
    depends_on("cxx", type="build", when="+cuda")
    depends_on("cmake@3.22:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("mpi")
    depends_on("hdf5+mpi+hl")
    depends_on("openblas threads=openmp")
    depends_on("json-c")
    depends_on("libyaml")
    depends_on("pcre2")
    depends_on("utf8proc")
    depends_on("libzip")
    depends_on("xxhash")
    depends_on("nccl@2.18:", when="+cuda")
    depends_on("python@3.9:", type=("build", "run"))
    for module in ("numpy", "h5py", "matplotlib", "pandas", "xarray"):
        depends_on(f"py-{module}", type="run")

    generator("ninja")

    def cmake_args(self):
        blas = self.spec["openblas"]
        return [
            self.define("KNOCKOUT_TESTS", False),
            self.define_from_variant("KNOCKOUT_CUDA", "cuda"),
            self.define("HDF5_ROOT", self.spec["hdf5"].prefix),
            self.define("KNOCKOUT_OPENBLAS_LIBRARY", blas.libs[0]),
            self.define("KNOCKOUT_OPENBLAS_INCLUDE", blas.prefix.include),
        ]

    def setup_run_environment(self, env):
        env.prepend_path("PYTHONPATH", self.prefix.share.knockout.analysis)
