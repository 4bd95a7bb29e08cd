/* Creates one file through HDF5's MPI driver: fails where HDF5 and MPI do not belong together. */
#include <hdf5.h>
#include <mpi.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    char library[MPI_MAX_LIBRARY_VERSION_STRING];
    unsigned major = 0, minor = 0, patch = 0;
    int n = 0;

    if (argc != 2 || MPI_Init(&argc, &argv) != MPI_SUCCESS)
        return 1;
    MPI_Get_library_version(library, &n);
    H5get_libversion(&major, &minor, &patch);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0 || H5Pset_fapl_mpio(access, MPI_COMM_WORLD, MPI_INFO_NULL) < 0)
        return 2;
    hid_t file = H5Fcreate(argv[1], H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (file < 0 || H5Fclose(file) < 0 || H5Pclose(access) < 0)
        return 3;
    remove(argv[1]);
    printf("HDF5 %u.%u.%u with %.60s\n", major, minor, patch, library);
    return MPI_Finalize() == MPI_SUCCESS ? 0 : 4;
}
