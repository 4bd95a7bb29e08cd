/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that can be made to fail: X(return type, name, parameters, arguments), by kinds. */
#ifndef TESTS_FAULTS_CHANCE_LIST_H
#define TESTS_FAULTS_CHANCE_LIST_H

/* clang-format off */
#define TEST_HDF5_IDS(X) \
    X(hid_t, H5Acreate2, (hid_t a, const char *b, hid_t c, hid_t d, hid_t e, hid_t f), (a, b, c, d, e, f)) \
    X(hid_t, H5Aget_space, (hid_t a), (a)) \
    X(hid_t, H5Aget_type, (hid_t a), (a)) \
    X(hid_t, H5Aopen, (hid_t a, const char *b, hid_t c), (a, b, c)) \
    X(hid_t, H5Dcreate2, (hid_t a, const char *b, hid_t c, hid_t d, hid_t e, hid_t f, hid_t g), (a, b, c, d, e, f, g)) \
    X(hid_t, H5Dget_space, (hid_t a), (a)) \
    X(hid_t, H5Dget_type, (hid_t a), (a)) \
    X(hid_t, H5Dopen2, (hid_t a, const char *b, hid_t c), (a, b, c)) \
    X(hid_t, H5Fcreate, (const char *a, unsigned b, hid_t c, hid_t d), (a, b, c, d)) \
    X(hid_t, H5Fopen, (const char *a, unsigned b, hid_t c), (a, b, c)) \
    X(hid_t, H5Gcreate2, (hid_t a, const char *b, hid_t c, hid_t d, hid_t e), (a, b, c, d, e)) \
    X(hid_t, H5Gopen2, (hid_t a, const char *b, hid_t c), (a, b, c)) \
    X(hid_t, H5Pcreate, (hid_t a), (a)) \
    X(hid_t, H5Screate, (H5S_class_t a), (a)) \
    X(hid_t, H5Screate_simple, (int a, const hsize_t *b, const hsize_t *c), (a, b, c)) \
    X(hid_t, H5Tcopy, (hid_t a), (a))

#define TEST_HDF5_CODES(X) \
    X(herr_t, H5Aread, (hid_t a, hid_t b, void *c), (a, b, c)) \
    X(herr_t, H5Awrite, (hid_t a, hid_t b, const void *c), (a, b, c)) \
    X(herr_t, H5DSattach_scale, (hid_t a, hid_t b, unsigned c), (a, b, c)) \
    X(herr_t, H5DSset_scale, (hid_t a, const char *b), (a, b)) \
    X(herr_t, H5Dread, (hid_t a, hid_t b, hid_t c, hid_t d, hid_t e, void *f), (a, b, c, d, e, f)) \
    X(herr_t, H5Dwrite, (hid_t a, hid_t b, hid_t c, hid_t d, hid_t e, const void *f), (a, b, c, d, e, f)) \
    X(herr_t, H5Fflush, (hid_t a, H5F_scope_t b), (a, b)) \
    X(herr_t, H5Pset_alloc_time, (hid_t a, H5D_alloc_time_t b), (a, b)) \
    X(herr_t, H5Pset_attr_creation_order, (hid_t a, unsigned b), (a, b)) \
    X(herr_t, H5Pset_char_encoding, (hid_t a, H5T_cset_t b), (a, b)) \
    X(herr_t, H5Pset_chunk, (hid_t a, int b, const hsize_t *c), (a, b, c)) \
    X(herr_t, H5Pset_deflate, (hid_t a, unsigned b), (a, b)) \
    X(herr_t, H5Pset_fill_value, (hid_t a, hid_t b, const void *c), (a, b, c)) \
    X(herr_t, H5Pset_layout, (hid_t a, H5D_layout_t b), (a, b)) \
    X(herr_t, H5Pset_libver_bounds, (hid_t a, H5F_libver_t b, H5F_libver_t c), (a, b, c)) \
    X(herr_t, H5Pset_link_creation_order, (hid_t a, unsigned b), (a, b)) \
    X(herr_t, H5Pset_obj_track_times, (hid_t a, hbool_t b), (a, b)) \
    X(herr_t, H5Pset_shuffle, (hid_t a), (a)) \
    X(herr_t, H5Pset_fapl_mpio, (hid_t a, MPI_Comm b, MPI_Info c), (a, b, c)) \
    X(herr_t, H5Pset_dxpl_mpio, (hid_t a, H5FD_mpio_xfer_t b), (a, b)) \
    X(herr_t, H5Pget_mpio_no_collective_cause, (hid_t a, uint32_t *b, uint32_t *c), (a, b, c)) \
    X(herr_t, H5Sselect_hyperslab, (hid_t a, H5S_seloper_t b, const hsize_t *c, const hsize_t *d, const hsize_t *e, const hsize_t *f), (a, b, c, d, e, f)) \
    X(herr_t, H5Sselect_none, (hid_t a), (a)) \
    X(int, H5Sget_simple_extent_dims, (hid_t a, hsize_t *b, hsize_t *c), (a, b, c)) \
    X(int, H5Sget_simple_extent_ndims, (hid_t a), (a)) \
    X(hssize_t, H5Sget_simple_extent_npoints, (hid_t a), (a)) \
    X(herr_t, H5Tset_cset, (hid_t a, H5T_cset_t b), (a, b)) \
    X(herr_t, H5Tset_size, (hid_t a, size_t b), (a, b)) \
    X(herr_t, H5Tset_strpad, (hid_t a, H5T_str_t b), (a, b)) \
    X(htri_t, H5Tequal, (hid_t a, hid_t b), (a, b)) \
    X(htri_t, H5Tis_variable_str, (hid_t a), (a)) \
    X(htri_t, H5Lexists, (hid_t a, const char *b, hid_t c), (a, b, c))

/* The resource is given back all the same: what fails is what closing writes. */
#define TEST_HDF5_CLOSES(X) \
    X(herr_t, H5Fclose, (hid_t a), (a)) \
    X(int, H5Idec_ref, (hid_t a), (a))

#define TEST_MPI_CALLS(X) \
    X(int, MPI_Allgather, (const void *a, int b, MPI_Datatype c, void *d, int e, MPI_Datatype f, MPI_Comm g), (a, b, c, d, e, f, g)) \
    X(int, MPI_Allreduce, (const void *a, void *b, int c, MPI_Datatype d, MPI_Op e, MPI_Comm f), (a, b, c, d, e, f)) \
    X(int, MPI_Barrier, (MPI_Comm a), (a)) \
    X(int, MPI_Bcast, (void *a, int b, MPI_Datatype c, int d, MPI_Comm e), (a, b, c, d, e)) \
    X(int, MPI_Comm_rank, (MPI_Comm a, int *b), (a, b)) \
    X(int, MPI_Comm_size, (MPI_Comm a, int *b), (a, b)) \
    X(int, MPI_File_open, (MPI_Comm a, const char *b, int c, MPI_Info d, MPI_File *e), (a, b, c, d, e)) \
    X(int, MPI_File_sync, (MPI_File a), (a))

#define TEST_SYSTEM_CALLS(X) \
    X(int, fstat, (int a, struct stat *b), (a, b)) \
    X(int, fsync, (int a), (a)) \
    X(ssize_t, read, (int a, void *b, size_t c), (a, b, c)) \
    X(int, rename, (const char *a, const char *b), (a, b)) \
    X(ssize_t, write, (int a, const void *b, size_t c), (a, b, c))
/* clang-format on */

#endif
