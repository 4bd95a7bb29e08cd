# Parallel HDF5 with its high-level library, as the target ko_hdf5. A parallel HDF5 that was built
# with another MPI links and then aborts at the first file, so a file is created here once.

set(HDF5_PREFER_PARALLEL ON)
# HDF5's compiler wrapper, which CMake asks, fails in a folder with a space in its path; pkg-config's folders are searched there.
if(PROJECT_BINARY_DIR MATCHES " ")
    pkg_search_module(KO_HDF5_HINT QUIET hdf5-openmpi hdf5)
    list(APPEND CMAKE_INCLUDE_PATH ${KO_HDF5_HINT_INCLUDE_DIRS})
    list(APPEND CMAKE_LIBRARY_PATH ${KO_HDF5_HINT_LIBRARY_DIRS})
endif()
find_package(HDF5 REQUIRED COMPONENTS C HL)
list(GET HDF5_C_LIBRARIES 0 ko_hdf5_library)
list(GET MPI_C_LIBRARIES 0 ko_mpi_library)
string(CONCAT ko_hdf5_found "HDF5 ${HDF5_VERSION} (${ko_hdf5_library}) and "
    "MPI ${MPI_C_VERSION} (${ko_mpi_library})")
if(NOT HDF5_IS_PARALLEL)
    message(FATAL_ERROR "found ${ko_hdf5_found}: this HDF5 is serial; install a parallel one "
        "(Debian and Ubuntu: libhdf5-openmpi-dev) or set HDF5_ROOT")
endif()

add_library(ko_hdf5 INTERFACE)
target_link_libraries(ko_hdf5 INTERFACE hdf5::hdf5_hl hdf5::hdf5 MPI::MPI_C)

if(KNOCKOUT_PROBE_HDF5 AND NOT KNOCKOUT_PROBED_HDF5 STREQUAL ko_hdf5_found)
    set(ko_probe_dir ${PROJECT_BINARY_DIR}/probe)
    file(MAKE_DIRECTORY ${ko_probe_dir})
    try_compile(ko_probe_built ${ko_probe_dir} SOURCES ${CMAKE_CURRENT_LIST_DIR}/probe_hdf5.c
        LINK_LIBRARIES hdf5::hdf5_hl hdf5::hdf5 MPI::MPI_C
        OUTPUT_VARIABLE ko_probe_output COPY_FILE ${ko_probe_dir}/probe_hdf5)
    if(NOT ko_probe_built)
        message(FATAL_ERROR "found ${ko_hdf5_found}: a program with both does not build:\n"
            "${ko_probe_output}")
    endif()
    execute_process(
        COMMAND ${CMAKE_COMMAND} -E env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
            OMPI_MCA_btl_vader_single_copy_mechanism=none
            ${ko_probe_dir}/probe_hdf5 ${ko_probe_dir}/probe.h5
        TIMEOUT 60 RESULT_VARIABLE ko_probe_result
        OUTPUT_VARIABLE ko_probe_output ERROR_VARIABLE ko_probe_output)
    if(NOT ko_probe_result STREQUAL "0")
        message(FATAL_ERROR "found ${ko_hdf5_found}: creating a file with H5Pset_fapl_mpio failed "
            "(${ko_probe_result}); this HDF5 was probably built with another MPI. Set HDF5_ROOT "
            "and MPI_HOME to a pair that belongs together, or KNOCKOUT_PROBE_HDF5=OFF where no "
            "MPI program may run on this machine. The probe said:\n${ko_probe_output}")
    endif()
    string(STRIP "${ko_probe_output}" ko_probe_output)
    message(STATUS "parallel HDF5 works: ${ko_probe_output}")
    set(KNOCKOUT_PROBED_HDF5 "${ko_hdf5_found}" CACHE INTERNAL "the pair that passed the probe")
endif()
