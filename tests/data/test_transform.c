/* Crop, flip and noise of one image. */
#include "data/transform.h"
#include "helpers.h"
#include <math.h>

enum { C = 2, H = 5, W = 7, N = C * H * W };

static void number(float *x)
{
    for (int i = 0; i < N; i++) x[i] = (float)i;
}

START_TEST(middle_is_identity)
{
    float x[N], out[N];
    number(x);
    for (int crop = 0; crop < H; crop++) {
        jem__crop_flip(x, C, H, W, crop, crop, crop, 0, out);
        ck_assert_mem_eq(x, out, sizeof x);
    }
}
END_TEST

START_TEST(reflection)
{
    /* torch.nn.ReflectionPad2d(2) of 0 1 2 3 is 2 1 0 1 2 3 2 1 */
    float row[4 * 4], out[4 * 4];
    const float padded[] = {2, 1, 0, 1, 2, 3, 2, 1};
    for (int i = 0; i < 16; i++) row[i] = (float)(i % 4 + 10 * (i / 4));
    for (int top = 0; top <= 4; top++)
        for (int left = 0; left <= 4; left++) {
            jem__crop_flip(row, 1, 4, 4, 2, top, left, 0, out);
            for (int y = 0; y < 4; y++)
                for (int x = 0; x < 4; x++)
                    ck_assert_float_eq(out[4 * y + x], padded[left + x] + 10 * padded[top + y]);
        }
}
END_TEST

START_TEST(flip)
{
    float x[N], once[N], twice[N], cropped[N];
    number(x);
    jem__crop_flip(x, C, H, W, 0, 0, 0, 1, once);
    for (int i = 0; i < N; i++) ck_assert_float_eq(once[i], x[i / W * W + W - 1 - i % W]);
    jem__crop_flip(once, C, H, W, 0, 0, 0, 1, twice);
    ck_assert_mem_eq(x, twice, sizeof x);
    /* The flip is of the cropped window. */
    jem__crop_flip(x, C, H, W, 3, 1, 6, 0, cropped);
    jem__crop_flip(x, C, H, W, 3, 1, 6, 1, once);
    jem__crop_flip(once, C, H, W, 0, 0, 0, 1, twice);
    ck_assert_mem_eq(cropped, twice, sizeof x);
}
END_TEST

START_TEST(every_place_is_drawn)
{
    jem__augmentation a = {.crop = 2, .flip = 1};
    int64_t seen[5][5][2] = {{{0}}};
    float x[N], spare[N], out[N];
    for (uint64_t number_ = 0; number_ < 5000; number_++) {
        int found = 0;
        number(x);
        jem__augment(&a, 1, 2, number_, C, H, W, x, spare);
        number(spare);
        for (int place = 0; place < 50; place++) {
            int top = place / 10, left = place / 2 % 5, mirrored = place % 2;
            jem__crop_flip(spare, C, H, W, 2, top, left, mirrored, out);
            if (memcmp(x, out, sizeof x) != 0) continue;
            seen[top][left][mirrored]++;
            found++;
        }
        ck_assert_int_eq(found, 1);
    }
    for (int place = 0; place < 50; place++) {
        int64_t n = seen[place / 10][place / 2 % 5][place % 2];
        ck_assert_msg(n > 50 && n < 150, "place %d: %d of 5000", place, (int)n);
    }
}
END_TEST

START_TEST(noise_moments)
{
    enum { SIDE = 100, MANY = 40 };
    jem__augmentation a = {.noise = 0.03f};
    double sum = 0, squares = 0, n = (double)SIDE * SIDE * MANY;
    float *x = malloc(sizeof *x * SIDE * SIDE);
    for (uint64_t i = 0; i < MANY; i++) {
        for (int k = 0; k < SIDE * SIDE; k++) x[k] = 0.5f;
        jem__augment(&a, 7, 0, i, 1, SIDE, SIDE, x, NULL);
        for (int k = 0; k < SIDE * SIDE; k++) {
            sum += (double)x[k] - 0.5;
            squares += ((double)x[k] - 0.5) * ((double)x[k] - 0.5);
        }
    }
    ck_assert_double_eq_tol(sum / n, 0, 5 * 0.03 / sqrt(n));
    ck_assert_double_eq_tol(sqrt(squares / n), 0.03, 5 * 0.03 / sqrt(2 * n));
    free(x);
}
END_TEST

START_TEST(addressed)
{
    jem__augmentation a = {.crop = 4, .flip = 1, .noise = 0.1f}, quiet = {.crop = 4, .flip = 1};
    float x[N], y[N], z[N], spare[N];
    uint64_t address[][3] = {{1, 2, 3}, {1, 2, 4}, {1, 3, 3}, {2, 2, 3}};
    number(x);
    jem__augment(&a, 1, 2, 3, C, H, W, x, spare);
    for (int i = 0; i < 4; i++) {
        number(y);
        jem__augment(&a, address[i][0], address[i][1], address[i][2], C, H, W, y, spare);
        ck_assert_int_eq(memcmp(x, y, sizeof x) == 0, i == 0);
    }
    /* Noise does not change where the window is. */
    number(z);
    jem__augment(&quiet, 1, 2, 3, C, H, W, z, spare);
    for (int i = 0; i < N; i++) ck_assert_float_eq_tol(x[i], z[i], 0.6f);
}
END_TEST

TESTS("transform", middle_is_identity, reflection, flip, every_place_is_drawn, noise_moments,
      addressed)
