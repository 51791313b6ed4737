/* Images made from a dataset: what they are, and that each depends on its index alone. */
#include "helpers.h"
#include <math.h>
#include <string.h>

enum { N = 50, C = 3, H = 6, W = 5, IMAGE = C * H * W };

static float source[N * IMAGE], made[N * IMAGE];

static jem_dataset *open_source(jem_context *context, int64_t n)
{
    jem_dataset *data;
    for (int64_t i = 0; i < N * IMAGE; i++)
        source[i] = (float)((i * 37 + i / IMAGE) % 201) / 100 - 1;
    OK(jem_dataset_create(&data, context, source, JEM_TYPE_F32, NULL, n, C, H, W));
    return data;
}

static jem_dataset *derive(jem_context *context, const char *kind, uint64_t seed)
{
    jem_dataset *parent = open_source(context, N), *data;
    int64_t n, c, h, w;
    int32_t y[N];
    OK(jem_dataset_derive(&data, parent, kind, seed));
    jem_dataset_destroy(parent); /* the new one keeps it */
    OK(jem_dataset_info(data, &n, &c, &h, &w, NULL));
    ck_assert(n == N && c == C && h == H && w == W);
    OK(jem_dataset_read(data, 0, N, made, INT64_MAX, y));
    for (int i = 0; i < N; i++) ck_assert_int_eq(y[i], 0);
    return data;
}

START_TEST(uniform)
{
    jem_context *context = test_context(1);
    double sum = 0, squares = 0;
    jem_dataset_destroy(derive(context, "uniform", 1));
    for (int i = 0; i < N * IMAGE; i++) {
        ck_assert(made[i] >= -1 && made[i] < 1);
        sum += made[i];
        squares += (double)made[i] * made[i];
    }
    /* 4500 values: 4 standard errors of the mean, and of the mean square (1/3) */
    ck_assert(fabs(sum / (N * IMAGE)) < 4 * 0.0087);
    ck_assert(fabs(squares / (N * IMAGE) - 1.0 / 3) < 4 * 0.0045);
    jem_context_destroy(context);
}
END_TEST

START_TEST(constant)
{
    jem_context *context = test_context(1);
    jem_dataset_destroy(derive(context, "constant", 1));
    for (int64_t plane = 0; plane < N * C; plane++) {
        const float *x = made + plane * H * W;
        for (int64_t i = 1; i < H * W; i++) ck_assert(x[i] == x[0]);
        if (plane > 0) ck_assert(x[0] != x[-1]);
    }
    jem_context_destroy(context);
}
END_TEST

/* Image i is the mean of i and some other image; j varies. */
START_TEST(interpolations)
{
    jem_context *context = test_context(1);
    int different = 0;
    jem_dataset_destroy(derive(context, "interpolations", 1));
    for (int64_t i = 0, before = 0; i < N; i++) {
        int64_t found = -1;
        for (int64_t j = 0; j < N && found < 0; j++) {
            int64_t k = 0;
            while (k < IMAGE &&
                   made[i * IMAGE + k] == (source[i * IMAGE + k] + source[j * IMAGE + k]) / 2)
                k++;
            if (k == IMAGE && j != i) found = (j - i + N) % N;
        }
        ck_assert_msg(found > 0, "image %d is no interpolation", (int)i);
        different += found != before;
        before = found;
    }
    ck_assert_int_gt(different, N / 2);
    jem_context_destroy(context);
}
END_TEST

START_TEST(addressed_by_seed_and_index)
{
    jem_context *context = test_context(1);
    static const char *const kinds[] = {"uniform", "constant", "interpolations"};
    static float again[N * IMAGE];
    for (int k = 0; k < 3; k++) {
        jem_dataset *data = derive(context, kinds[k], 7), *last;
        const int64_t indices[] = {N - 1, 3};
        OK(jem_dataset_read(data, 20, 5, again, INT64_MAX, NULL));
        ck_assert_mem_eq(again, made + 20 * IMAGE, 5 * IMAGE * sizeof *again);
        OK(jem_dataset_subset(&last, data, indices, 2));
        OK(jem_dataset_read(last, 0, 2, again, INT64_MAX, NULL));
        ck_assert_mem_eq(again, made + (N - 1) * IMAGE, IMAGE * sizeof *again);
        ck_assert_mem_eq(again + IMAGE, made + 3 * IMAGE, IMAGE * sizeof *again);
        jem_dataset_destroy(data);
        jem_dataset_destroy(last);
        memcpy(again, made, sizeof again);
        jem_dataset_destroy(derive(context, kinds[k], 8));
        ck_assert(memcmp(again, made, sizeof again) != 0);
    }
    jem_context_destroy(context);
}
END_TEST

START_TEST(refusals)
{
    jem_context *context = test_context(1);
    jem_dataset *data = open_source(context, 1), *derived;
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_derive(&derived, data, "interpolations", 0),
          "at least 2");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_derive(&derived, data, "noise", 0), "uniform, constant");
    FAILS(JEM_ERROR_ARGUMENT, jem_dataset_derive(&derived, NULL, "uniform", 0), "NULL");
    ck_assert_ptr_null(derived);
    jem_dataset_destroy(data);
    jem_context_destroy(context);
}
END_TEST

TESTS("derived", uniform, constant, interpolations, addressed_by_seed_and_index, refusals)
