# NCCL in NCCL_ROOT (variable or environment), the CUDA toolkit, or the Python package nvidia-nccl.
# Sets NCCL_FOUND, NCCL_VERSION and makes the target NCCL::NCCL.

# The package of pip keeps its files in nvidia/nccl/{include,lib}, the library as libnccl.so.2.
if(NOT DEFINED NCCL_PIP_DIR)
    execute_process(
        COMMAND python3 -c "import nvidia.nccl; print(list(nvidia.nccl.__path__)[0])"
        OUTPUT_VARIABLE ko_nccl_pip OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    set(NCCL_PIP_DIR "${ko_nccl_pip}" CACHE PATH "folder of the Python package nvidia.nccl")
endif()

set(ko_nccl_hints ${CUDAToolkit_INCLUDE_DIRS} ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_TARGET_DIR})
find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${ko_nccl_hints} PATHS ${NCCL_PIP_DIR}
    PATH_SUFFIXES include)
# Folder by folder, so that the library is of the header's folder.
find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 NAMES_PER_DIR HINTS ${ko_nccl_hints} PATHS ${NCCL_PIP_DIR}
    PATH_SUFFIXES lib lib64)

if(NCCL_INCLUDE_DIR)
    file(STRINGS ${NCCL_INCLUDE_DIR}/nccl.h ko_nccl_lines
        REGEX "^#define NCCL_(MAJOR|MINOR|PATCH) +[0-9]+")
    set(NCCL_VERSION)
    foreach(part MAJOR MINOR PATCH)
        string(REGEX MATCH "NCCL_${part} +([0-9]+)" ko_ignored "${ko_nccl_lines}")
        list(APPEND NCCL_VERSION ${CMAKE_MATCH_1})
    endforeach()
    list(JOIN NCCL_VERSION "." NCCL_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NCCL REQUIRED_VARS NCCL_LIBRARY NCCL_INCLUDE_DIR
    VERSION_VAR NCCL_VERSION)
mark_as_advanced(NCCL_INCLUDE_DIR NCCL_LIBRARY NCCL_PIP_DIR)

if(NCCL_FOUND AND NOT TARGET NCCL::NCCL)
    add_library(NCCL::NCCL UNKNOWN IMPORTED)
    set_target_properties(NCCL::NCCL PROPERTIES IMPORTED_LOCATION ${NCCL_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${NCCL_INCLUDE_DIR})
endif()
