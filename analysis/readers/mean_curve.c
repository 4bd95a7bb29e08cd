/* Mean change of the answer's probability, in percent, a line a window: mean_curve CUBE
   h5cc -o mean_curve mean_curve.c -lm      (h5pcc where HDF5 is a parallel one) */
#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The whole dataset of n values, converted to `type`; ends the program where it cannot be read. */
static void *read_all(hid_t cube, const char *name, hid_t type, size_t n)
{
    void *values = calloc(n, H5Tget_size(type));
    if (!values || H5LTread_dataset(cube, name, type, values) < 0)
        exit(1); /* HDF5 has said why */
    return values;
}

int main(int argc, char **argv)
{
    hsize_t n[6]; /* model, prompt, route, feature_class, window_size, window_start */
    hid_t cube = argc == 2 ? H5Fopen(argv[1], H5F_ACC_RDONLY, H5P_DEFAULT) : -1;
    if (cube < 0 || H5LTget_dataset_info(cube, "logprob", n, NULL, NULL) < 0)
        return 1;
    hid_t text = H5Dget_type(H5Dopen(cube, "model", H5P_DEFAULT));
    const size_t s = n[5], f = s * n[4], r = f * n[3], m = r * n[2]; /* how far labels lie apart */
    /* First: a run may be writing the cube, and flags what is written. */
    unsigned char *status = read_all(cube, "status", H5T_NATIVE_UCHAR, n[0] * n[1] * m / s);
    double *logprob = read_all(cube, "logprob", H5T_NATIVE_DOUBLE, n[0] * n[1] * m);
    double *clean = read_all(cube, "clean_logprob", H5T_NATIVE_DOUBLE, n[0] * n[1]);
    char **model = read_all(cube, "model", text, n[0]),
         **route = read_all(cube, "route", text, n[2]);
    char **feature = read_all(cube, "feature_class", text, n[3]);
    int *size = read_all(cube, "window_size", H5T_NATIVE_INT, n[4]);
    int *start = read_all(cube, "window_start", H5T_NATIVE_INT, n[5]);
    puts("model,route,feature_class,window_size,window_start,value,n");
    for (size_t k = 0; k < n[0] * m; k++) {
        const size_t w = k % m, first = k / m * n[1]; /* the window, and its model's first prompt */
        double sum = 0, count = 0;
        for (size_t p = first; p < first + n[1]; p++)
            if (status[(p * m + w) / s] == 2 && !isnan(logprob[p * m + w]) && ++count)
                sum += 100 * expm1(logprob[p * m + w] - clean[p]);
        if (count > 0)
            printf("\"%s\",\"%s\",\"%s\",%d,%d,%.9g,%.0f\n", model[k / m], route[w / r],
                   feature[w % r / f], size[w % f / s], start[w % s], sum / count, count);
    }
}
