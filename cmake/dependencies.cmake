# Finds what the program needs. Each message names the package to install.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(ko_find_pkg prefix module package)
    pkg_check_modules(${prefix} QUIET IMPORTED_TARGET GLOBAL ${module})
    if(NOT ${prefix}_FOUND)
        message(FATAL_ERROR "${module} not found by pkg-config; install it (Debian and Ubuntu: "
            "${package}) or add its folder to PKG_CONFIG_PATH")
    endif()
    message(STATUS "${module}: ${${prefix}_VERSION}")
endfunction()

ko_find_pkg(JSON_C json-c libjson-c-dev)
ko_find_pkg(YAML yaml-0.1 libyaml-dev)
ko_find_pkg(PCRE2 libpcre2-8 libpcre2-dev)
ko_find_pkg(UTF8PROC libutf8proc libutf8proc-dev)
ko_find_pkg(LIBZIP libzip libzip-dev)
ko_find_pkg(XXHASH libxxhash libxxhash-dev)
if(KNOCKOUT_TESTS)
    ko_find_pkg(CMOCKA cmocka "libcmocka-dev; or configure with -DKNOCKOUT_TESTS=OFF")
endif()

find_package(OpenMP REQUIRED COMPONENTS C)
include(find_openblas)

find_package(MPI REQUIRED COMPONENTS C)
include(find_parallel_hdf5)
