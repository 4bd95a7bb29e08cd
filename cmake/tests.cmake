# Helpers for tests/CMakeLists.txt.

# Root in a container is allowed, and one node's shared memory needs no special rights. Tests run side by side: a thread that
# waits in a loop takes its core from the one that it waits for (golden.golden: ten minutes in place of one).
set(ko_test_env
    OMP_WAIT_POLICY=passive
    OMPI_ALLOW_RUN_AS_ROOT=1
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    OMPI_MCA_btl_vader_single_copy_mechanism=none
    KO_SOURCE_DIR=${PROJECT_SOURCE_DIR}
    UBSAN_OPTIONS=print_stacktrace=1)
# Open MPI leaks, in stacks that only the slow unwinder finds. Following the thread-local blocks of plug-ins that are
# unloaded, LeakSanitizer can crash (gcc 12: "Tracer caught signal 11").
set(ko_mpi_test_env ${ko_test_env}
    ASAN_OPTIONS=fast_unwind_on_malloc=0:intercept_tls_get_addr=0
    LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp:print_suppressions=0
    MPIEXEC=${MPIEXEC_EXECUTABLE})
# Sanitizers and the counting of lines take their time: tests/launch.sh and the limits below wait longer.
set(ko_time_factor 1)
if(KNOCKOUT_SANITIZE)
    set(ko_time_factor 6)
elseif(KNOCKOUT_COVERAGE)
    set(ko_time_factor 3)
endif()
if(ko_time_factor GREATER 1)
    list(APPEND ko_mpi_test_env KO_TIME_FACTOR=${ko_time_factor})
endif()

# An executable of SOURCES, in bin/tests.
function(ko_add_test_program name)
    cmake_parse_arguments(arg "" "" "SOURCES;LIBS" ${ARGN})
    add_executable(${name} ${arg_SOURCES})
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin/tests)
    target_compile_definitions(${name} PRIVATE KO_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    target_link_libraries(${name} PRIVATE ${arg_LIBS} PkgConfig::CMOCKA)
endfunction()

# ko_add_test(NAME name SOURCES file... [LIBS library...] [TIMEOUT seconds] [USES_MPI])
function(ko_add_test)
    cmake_parse_arguments(arg "USES_MPI" "NAME;TIMEOUT" "SOURCES;LIBS" ${ARGN})
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 60)
    endif()
    math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * ${ko_time_factor}")
    set(env ${ko_test_env})
    if(arg_USES_MPI)
        set(env ${ko_mpi_test_env})
    endif()
    ko_add_test_program(${arg_NAME} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS})
    add_test(NAME ${arg_NAME} COMMAND ${arg_NAME})
    set_tests_properties(${arg_NAME} PROPERTIES TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77
        ENVIRONMENT "${env}")
endfunction()

# ko_add_gpu_test(NAME PROGRAM [VARIABLE=VALUE...])
# A test program that runs on a GPU where KO_BACKEND=cuda says so, and ends with 77 where it cannot.
function(ko_add_gpu_test name program)
    add_test(NAME ${name} COMMAND ${program})
    set_tests_properties(${name} PROPERTIES TIMEOUT 900 SKIP_RETURN_CODE 77 LABELS gpu
        RESOURCE_LOCK gpu ENVIRONMENT "${ko_mpi_test_env};KO_BACKEND=cuda;${ARGN}")
endfunction()

# ko_add_mpi_test(NAME name SOURCES file... RANKS n... [LIBS library...] [TIMEOUT seconds])
# One program, one test a number of ranks, each under a time limit of its own.
function(ko_add_mpi_test)
    cmake_parse_arguments(arg "" "NAME;TIMEOUT" "SOURCES;LIBS;RANKS" ${ARGN})
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 120)
    endif()
    math(EXPR outer "${arg_TIMEOUT} * ${ko_time_factor} + 30")
    ko_add_test_program(${arg_NAME} SOURCES ${arg_SOURCES} LIBS ${arg_LIBS})
    foreach(ranks ${arg_RANKS})
        set(test ${arg_NAME}.n${ranks})
        add_test(NAME ${test} COMMAND ${PROJECT_SOURCE_DIR}/tests/launch.sh ${arg_TIMEOUT}
            ${ranks} $<TARGET_FILE:${arg_NAME}>)
        set_tests_properties(${test} PROPERTIES TIMEOUT ${outer} PROCESSORS ${ranks}
            SKIP_RETURN_CODE 77 LABELS mpi
            ENVIRONMENT "${ko_mpi_test_env};OMP_NUM_THREADS=1")
    endforeach()
endfunction()

# ko_add_script_test(NAME name SCRIPT file [ARGUMENTS argument...] [TIMEOUT seconds])
# A shell script that finds the program in $KNOCKOUT and the sources in $KO_SOURCE_DIR, and starts
# ranks with "$KO_LAUNCH" SECONDS RANKS PROGRAM ARGUMENTS. It is skipped where it exits with 77.
function(ko_add_script_test)
    cmake_parse_arguments(arg "" "NAME;SCRIPT;TIMEOUT" "ARGUMENTS" ${ARGN})
    if(NOT arg_TIMEOUT)
        set(arg_TIMEOUT 600)
    endif()
    math(EXPR arg_TIMEOUT "${arg_TIMEOUT} * ${ko_time_factor}")
    set(env ${ko_mpi_test_env} KNOCKOUT=${PROJECT_BINARY_DIR}/bin/knockout
        KO_LAUNCH=${PROJECT_SOURCE_DIR}/tests/launch.sh)
    # Three ranks would need two GPUs. On CPUs the same tests run on every machine.
    if(KNOCKOUT_CUDA AND NOT arg_NAME STREQUAL "e2e.gpu")
        list(APPEND env CUDA_VISIBLE_DEVICES=)
    endif()
    add_test(NAME ${arg_NAME} COMMAND bash ${arg_SCRIPT} ${arg_ARGUMENTS})
    set_tests_properties(${arg_NAME} PROPERTIES TIMEOUT ${arg_TIMEOUT} SKIP_RETURN_CODE 77
        LABELS e2e ENVIRONMENT "${env}")
endfunction()
