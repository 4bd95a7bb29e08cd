# OpenBLAS with its CBLAS interface, as the target ko_openblas. Debian installs each flavour
# (pthread, openmp, serial) in a folder of its own and prefers pthread; the program's threads are
# OpenMP's, so the openmp folder beside it is taken where there is one.

pkg_check_modules(OPENBLAS QUIET openblas)
set(ko_openblas_lib_hints ${OPENBLAS_LIBRARY_DIRS})
set(ko_openblas_include_hints ${OPENBLAS_INCLUDE_DIRS})
list(TRANSFORM ko_openblas_lib_hints REPLACE "openblas-(pthread|serial)" "openblas-openmp")
list(TRANSFORM ko_openblas_include_hints REPLACE "openblas-(pthread|serial)" "openblas-openmp")

find_library(KNOCKOUT_OPENBLAS_LIBRARY NAMES openblas openblaso
    HINTS ${ko_openblas_lib_hints} ${OPENBLAS_LIBRARY_DIRS} PATH_SUFFIXES openblas-openmp)
find_path(KNOCKOUT_OPENBLAS_INCLUDE NAMES cblas.h
    HINTS ${ko_openblas_include_hints} ${OPENBLAS_INCLUDE_DIRS}
    PATH_SUFFIXES openblas-openmp openblas)
if(NOT KNOCKOUT_OPENBLAS_LIBRARY OR NOT KNOCKOUT_OPENBLAS_INCLUDE)
    message(FATAL_ERROR "OpenBLAS with cblas.h not found; install it (Debian and Ubuntu: "
        "libopenblas-openmp-dev) or set KNOCKOUT_OPENBLAS_LIBRARY and KNOCKOUT_OPENBLAS_INCLUDE")
endif()
message(STATUS "OpenBLAS: ${KNOCKOUT_OPENBLAS_LIBRARY}")

add_library(ko_openblas INTERFACE)
target_include_directories(ko_openblas SYSTEM INTERFACE ${KNOCKOUT_OPENBLAS_INCLUDE})
target_link_libraries(ko_openblas INTERFACE ${KNOCKOUT_OPENBLAS_LIBRARY})
