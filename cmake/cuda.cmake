# nvcc, the CUDA libraries and the architectures: those of 80, 90 and 100 that this nvcc knows, and
# PTX of the highest for later ones. CMAKE_CUDA_ARCHITECTURES overrides.

find_package(CUDAToolkit QUIET)
if(NOT CUDAToolkit_FOUND)
    message(FATAL_ERROR "KNOCKOUT_CUDA=ON: no CUDA toolkit found; install it, load its module or "
        "set CUDAToolkit_ROOT, or configure with the preset 'release'")
endif()
if(NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE})
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    execute_process(COMMAND ${CUDAToolkit_NVCC_EXECUTABLE} --list-gpu-arch
        OUTPUT_VARIABLE ko_known OUTPUT_STRIP_TRAILING_WHITESPACE)
    set(ko_architectures)
    foreach(architecture 80 90 100)
        if(ko_known MATCHES "compute_${architecture}(\n|$)")
            list(APPEND ko_architectures ${architecture}-real)
            set(ko_highest ${architecture})
        endif()
    endforeach()
    if(NOT ko_architectures)
        message(FATAL_ERROR "KNOCKOUT_CUDA=ON: ${CUDAToolkit_NVCC_EXECUTABLE} compiles for none of "
            "the architectures 80, 90, 100; choose with -DCMAKE_CUDA_ARCHITECTURES=...")
    endif()
    list(APPEND ko_architectures ${ko_highest}-virtual)
    set(CMAKE_CUDA_ARCHITECTURES ${ko_architectures} CACHE STRING "GPU architectures")
endif()
enable_language(CUDA)
message(STATUS "CUDA: ${CUDAToolkit_VERSION}, architectures ${CMAKE_CUDA_ARCHITECTURES}")
