# What a user can choose, and the flags that follow from it.

option(KNOCKOUT_TESTS "build the tests (needs CMocka)" ON)
option(KNOCKOUT_CUDA "build the CUDA backend" OFF)
option(KNOCKOUT_HARDEN
    "fortified libc calls, guarded stacks and jumps, read-only relocations (Linux, GNU linker)" OFF)
option(KNOCKOUT_SANITIZE "address and undefined-behaviour sanitizers" OFF)
option(KNOCKOUT_FUZZ "the fuzz targets with libFuzzer, and its coverage in all code (needs clang)" OFF)
option(KNOCKOUT_COVERAGE "count executed lines and branches, for tests/coverage.sh" OFF)
option(KNOCKOUT_TSAN "thread sanitizer; takes clang, whose OpenMP runtime it knows" OFF)
option(KNOCKOUT_WERROR "warnings are errors" OFF)
option(KNOCKOUT_PROBE_HDF5 "at configure, create a file with the HDF5 and MPI that were found" ON)

if(KNOCKOUT_HARDEN AND (KNOCKOUT_SANITIZE OR KNOCKOUT_FUZZ))
    message(FATAL_ERROR "KNOCKOUT_HARDEN excludes KNOCKOUT_SANITIZE and KNOCKOUT_FUZZ; "
        "turn one of them OFF")
endif()
if(KNOCKOUT_FUZZ AND NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "KNOCKOUT_FUZZ: libFuzzer comes with clang, the compiler is "
        "${CMAKE_C_COMPILER}; configure with --preset fuzz or -DCMAKE_C_COMPILER=clang")
endif()

if(KNOCKOUT_TSAN AND (KNOCKOUT_SANITIZE OR NOT CMAKE_C_COMPILER_ID MATCHES "Clang"))
    message(FATAL_ERROR "KNOCKOUT_TSAN: takes clang (CC=clang-14), and no other sanitizer")
endif()

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Release or Debug" FORCE)
endif()
# Which files may know of CUDA ask for it by this: 0 or 1.
add_compile_definitions(KO_HAVE_CUDA=$<BOOL:${KNOCKOUT_CUDA}>)
# Checks stay on in every build type.
foreach(type RELEASE RELWITHDEBINFO MINSIZEREL)
    string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${type} "${CMAKE_C_FLAGS_${type}}")
endforeach()

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
# Libraries outside the system's folders (modules, OpenBLAS flavours) are found after installation.
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)

include(CheckPIESupported)
check_pie_supported(OUTPUT_VARIABLE ko_pie_output LANGUAGES C)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(KNOCKOUT_HARDEN)
    include(CheckCCompilerFlag)
    set(ko_harden_flags -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong)
    # Not on every processor.
    foreach(flag stack-clash-protection cf-protection)
        string(MAKE_C_IDENTIFIER "ko_have_${flag}" found)
        check_c_compiler_flag(-f${flag} ${found})
        if(${found})
            list(APPEND ko_harden_flags -f${flag})
        endif()
    endforeach()
    add_compile_options("$<$<COMPILE_LANGUAGE:C>:${ko_harden_flags}>")
    add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
if(KNOCKOUT_SANITIZE OR KNOCKOUT_FUZZ)
    set(ko_sanitize_flags -fsanitize=address,undefined -fno-sanitize-recover=all)
    add_compile_options("$<$<COMPILE_LANGUAGE:C>:${ko_sanitize_flags};-fno-omit-frame-pointer>")
    add_link_options(${ko_sanitize_flags})
endif()
if(KNOCKOUT_FUZZ)
    add_compile_options($<$<COMPILE_LANGUAGE:C>:-fsanitize=fuzzer-no-link,float-cast-overflow>)
    add_link_options(-fsanitize=fuzzer-no-link)
endif()
if(KNOCKOUT_COVERAGE)
    # Threads and processes count in the same places.
    add_compile_options("$<$<COMPILE_LANGUAGE:C>:--coverage;-fprofile-update=atomic>")
    add_link_options(--coverage)
endif()
if(KNOCKOUT_TSAN)
    add_compile_options("$<$<COMPILE_LANGUAGE:C>:-fsanitize=thread;-fno-omit-frame-pointer>")
    add_link_options(-fsanitize=thread)
endif()
