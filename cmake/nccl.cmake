# What several workers on GPUs need beside CUDA. Without it they are refused when they start.

set(ko_have_nccl 0)
if(KNOCKOUT_CUDA)
    find_package(NCCL 2.18)
    if(NCCL_FOUND)
        set(ko_have_nccl 1)
        target_link_libraries(ko_mpi PRIVATE NCCL::NCCL CUDA::cudart)
    else()
        message(WARNING "NCCL 2.18 or later not found: this program will run on one GPU only; "
            "install it (Debian and Ubuntu: libnccl-dev; pip: nvidia-nccl-cu13) or set NCCL_ROOT")
    endif()
endif()
target_compile_definitions(ko_mpi PRIVATE KO_HAVE_NCCL=${ko_have_nccl})
