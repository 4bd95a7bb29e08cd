/* Mean change of the answer's probability, in percent, a line a window: mean_curve CUBE
   h5cc -o mean_curve mean_curve.c -lm      (h5pcc where HDF5 is a parallel one) */
#include <hdf5.h>
#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The whole dataset, converted to `type`, of `size` bytes an element; ends the program where it
 * cannot be read. */
static void *dataset(hid_t cube, const char *name, hid_t type, size_t size, size_t n)
{
    void *values = calloc(n, size);
    if (!values || H5LTread_dataset(cube, name, type, values) < 0)
        exit(1); /* HDF5 has said why */
    return values;
}

int main(int argc, char **argv)
{
    hsize_t n[6]; /* model, prompt, route, feature_class, window_size, window_start */
    hid_t cube = argc == 2 ? H5Fopen(argv[1], H5F_ACC_RDONLY, H5P_DEFAULT) : -1,
          text = H5Tcopy(H5T_C_S1);
    if (cube < 0 || H5LTget_dataset_info(cube, "logprob", n, NULL, NULL) < 0)
        return 1;
    H5Tset_size(text, H5T_VARIABLE);
    H5Tset_cset(text, H5T_CSET_UTF8);
    const size_t windows = n[2] * n[3] * n[4] * n[5];
    double *logprob =
        dataset(cube, "logprob", H5T_NATIVE_DOUBLE, sizeof *logprob, n[0] * n[1] * windows);
    double *clean = dataset(cube, "clean_logprob", H5T_NATIVE_DOUBLE, sizeof *clean, n[0] * n[1]);
    char **model = dataset(cube, "model", text, sizeof *model, n[0]),
         **route = dataset(cube, "route", text, sizeof *route, n[2]);
    char **feature = dataset(cube, "feature_class", text, sizeof *feature, n[3]);
    int *sizes = dataset(cube, "window_size", H5T_NATIVE_INT, sizeof *sizes, n[4]);
    int *starts = dataset(cube, "window_start", H5T_NATIVE_INT, sizeof *starts, n[5]);
    puts("model,route,feature_class,window_size,window_start,value,n");
    for (size_t k = 0; k < n[0] * windows; k++) {
        const size_t m = k / windows,
                     w = k % windows; /* w: route, feature_class, window_size, window_start */
        double sum = 0;
        int count = 0;
        for (size_t p = m * n[1]; p < (m + 1) * n[1]; p++)
            if (!isnan(logprob[p * windows + w])) {
                sum += 100 * expm1(logprob[p * windows + w] - clean[p]);
                count++;
            }
        if (count > 0)
            printf("\"%s\",\"%s\",\"%s\",%d,%d,%.9g,%d\n", model[m],
                   route[w / (n[3] * n[4] * n[5])], feature[w / (n[4] * n[5]) % n[3]],
                   sizes[w / n[5] % n[4]], starts[w % n[5]], sum / count, count);
    }
    return 0;
}
