/* Synthetic images: addressed, balanced, legible, and not too easy. */
#include "data/glyphs.h"
#include "data/strokes.h"
#include "helpers.h"
#include <math.h>

typedef struct set {
    int64_t n, image;
    uint8_t *pixels;
    int32_t *labels;
} set;

static set draw(int64_t threads, jem__glyph_set s, int64_t n)
{
    jem__pool *pool;
    set d = {.n = n, .image = s.size * s.size * s.channels};
    d.pixels = malloc((size_t)(n * d.image));
    d.labels = malloc((size_t)n * sizeof *d.labels);
    OK(jem__pool_create(&pool, threads));
    OK(jem__glyphs_draw(pool, &s, n, d.pixels, d.labels));
    jem__pool_destroy(pool, 0);
    return d;
}

static void drop(set d)
{
    free(d.pixels);
    free(d.labels);
}

static int same_image(set a, int64_t i, set b, int64_t j)
{
    return memcmp(a.pixels + i * a.image, b.pixels + j * b.image, (size_t)a.image) == 0;
}

static const jem__glyph_set digits = {.kind = JEM__GLYPHS_DIGITS, .size = 28, .channels = 1};

START_TEST(addressed)
{
    set a = draw(1, digits, 100), b = draw(3, digits, 37);
    for (int64_t i = 0; i < b.n; i++) {
        ck_assert(same_image(a, i, b, i));
        ck_assert_int_eq(a.labels[i], b.labels[i]);
    }
    drop(a);
    drop(b);
}
END_TEST

START_TEST(sets_are_disjoint)
{
    jem__glyph_set test = digits, seed = digits;
    test.test = 1;
    seed.seed = 1;
    set a = draw(1, digits, 200), b = draw(1, test, 200), c = draw(1, seed, 200);
    for (int64_t i = 0; i < a.n; i++)
        for (int64_t j = 0; j < a.n; j++) {
            ck_assert(!same_image(a, i, b, j));
            ck_assert(!same_image(a, i, c, j));
            ck_assert(i == j || !same_image(a, i, a, j));
        }
    drop(a);
    drop(b);
    drop(c);
}
END_TEST

START_TEST(balanced)
{
    for (int kind = JEM__GLYPHS_DIGITS; kind <= JEM__GLYPHS_LETTERS; kind++) {
        jem__glyph_set small = {.kind = kind, .size = 8, .channels = 1};
        int64_t n = 5000, classes = jem__glyphs_classes(kind), count[64] = {0};
        set d = draw(1, small, n);
        for (int64_t i = 0; i < n; i++) {
            ck_assert(d.labels[i] >= 0 && d.labels[i] < classes);
            count[d.labels[i]]++;
        }
        double expected = (double)n / (double)classes, chi = 0;
        for (int64_t k = 0; k < classes; k++) chi += pow((double)count[k] - expected, 2) / expected;
        ck_assert_double_lt(chi, (double)classes + 5 * sqrt(2 * (double)classes));
        drop(d);
    }
}
END_TEST

START_TEST(letters_are_no_digits)
{
    for (int32_t k = 0; k < jem__letter_count; k++) {
        ck_assert_int_eq(strlen(jem__letters[k].name), 1);
        ck_assert_ptr_null(strpbrk(jem__letters[k].name, "0123456789OIlSZBqgboisz"));
        for (int32_t j = 0; j < k; j++)
            ck_assert_str_ne(jem__letters[k].name, jem__letters[j].name);
    }
    for (int32_t k = 0; k < 10; k++) ck_assert_int_eq(jem__digits[k].name[0], '0' + k);
}
END_TEST

/* Each table entry says how many variants, strokes and points it has. */
START_TEST(tables_are_whole)
{
    for (int letters = 0; letters < 2; letters++)
        for (int32_t k = 0; k < (letters ? jem__letter_count : jem__digit_count); k++) {
            const jem__symbol *s = letters ? &jem__letters[k] : &jem__digits[k];
            ck_assert(s->variants >= 1 && s->variants <= JEM__SYMBOL_VARIANTS);
            for (int v = 0; v < JEM__SYMBOL_VARIANTS; v++) {
                int strokes = s->variant[v].strokes;
                ck_assert_msg((strokes > 0) == (v < s->variants), "%s", s->name);
                for (int i = 0; i < JEM__GLYPH_STROKES; i++) {
                    const jem__stroke *p = &s->variant[v].stroke[i];
                    ck_assert_msg((p->kind > 0) == (i < strokes), "%s", s->name);
                    ck_assert_int_le(p->points, JEM__STROKE_POINTS);
                    if (p->kind) ck_assert_int_ge(p->points, 2);
                }
            }
        }
}
END_TEST

static int by_value(const void *a, const void *b)
{
    return *(const uint8_t *)a - *(const uint8_t *)b;
}

START_TEST(contrast)
{
    set d = draw(1, digits, 400);
    for (int64_t i = 0; i < d.n; i++) {
        uint8_t *p = d.pixels + i * d.image;
        ck_assert_int_lt(p[0] + p[27] + p[27 * 28] + p[27 * 28 + 27], 2 * 255); /* light on dark */
        qsort(p, (size_t)d.image, 1, by_value);
        ck_assert_msg(p[d.image - 20] - p[20] > 80, "image %d: %d..%d", (int)i, p[20],
                      p[d.image - 20]);
    }
    drop(d);
}
END_TEST

START_TEST(sizes_and_colours)
{
    int64_t sizes[] = {8, 33, 128, 1024};
    for (int i = 0; i < 4; i++) {
        jem__glyph_set s = {.kind = JEM__GLYPHS_LETTERS, .size = sizes[i], .channels = 3};
        set d = draw(1, s, 2), grey;
        int64_t area = s.size * s.size;
        ck_assert_int_ne(memcmp(d.pixels, d.pixels + area, (size_t)area), 0);
        s.channels = 1;
        grey = draw(1, s, 2);
        ck_assert_mem_eq(d.labels, grey.labels, sizeof *d.labels * 2);
        drop(d);
        drop(grey);
    }
}
END_TEST

START_TEST(noise_is_uniform)
{
    jem__glyph_set s = {.kind = JEM__GLYPHS_NOISE, .size = 28, .channels = 1};
    set d = draw(1, s, 200);
    double sum = 0, squares = 0, n = (double)(d.n * d.image);
    for (int64_t i = 0; i < d.n * d.image; i++) {
        sum += d.pixels[i];
        squares += d.pixels[i] * d.pixels[i];
    }
    double mean = sum / n, variance = squares / n - mean * mean;
    ck_assert_double_eq_tol(mean, 127.5, 5 * 73.9 / sqrt(n));
    ck_assert_double_eq_tol(variance, (65536.0 - 1) / 12, 50);
    for (int64_t i = 0; i < d.n; i++) ck_assert_int_eq(d.labels[i], 0);
    drop(d);
}
END_TEST

/* Softmax regression on pixels by plain gradient descent; its test accuracy. */
static double regression(set train, set test)
{
    enum { K = 10, EPOCHS = 6 };
    int64_t m = train.image, right = 0;
    float *w = calloc((size_t)((m + 1) * K), sizeof *w);
    for (int64_t step = 0; step < EPOCHS * train.n + test.n; step++) {
        int training = step < EPOCHS * train.n;
        set d = training ? train : test;
        int64_t i = training ? step % train.n : step - EPOCHS * train.n;
        const uint8_t *x = d.pixels + i * m;
        float p[K], sum = 0, rate = 0.002f * (1 - (float)step / (float)(EPOCHS * train.n));
        int best = 0;
        for (int k = 0; k < K; k++) p[k] = w[m * K + k];
        for (int64_t j = 0; j < m; j++)
            for (int k = 0; k < K; k++) p[k] += w[j * K + k] * ((float)x[j] / 127.5f - 1);
        for (int k = 1; k < K; k++) best = p[k] > p[best] ? k : best;
        float most = p[best];
        if (!training) {
            right += best == d.labels[i];
            continue;
        }
        for (int k = 0; k < K; k++) sum += p[k] = expf(p[k] - most);
        for (int k = 0; k < K; k++) p[k] = rate * (p[k] / sum - (k == d.labels[i]));
        for (int64_t j = 0; j < m; j++)
            for (int k = 0; k < K; k++) w[j * K + k] -= p[k] * ((float)x[j] / 127.5f - 1);
        for (int k = 0; k < K; k++) w[m * K + k] -= p[k];
    }
    free(w);
    return (double)right / (double)test.n;
}

START_TEST(not_linearly_easy)
{
    jem__glyph_set other = digits;
    other.test = 1;
    set train = draw(2, digits, 8000), test = draw(2, other, 1000);
    double accuracy = regression(train, test);
    printf("logistic regression: %.3f\n", accuracy);
    ck_assert_double_lt(accuracy, 0.85);
    ck_assert_double_gt(accuracy, 0.4); /* yet labels belong to images */
    drop(train);
    drop(test);
}
END_TEST

/* Published sets stay what they are: runs and papers refer to them. */
START_TEST(pinned)
{
    static const uint32_t expected[] = {0x4bd20045u, 0x96d0af18u, 0xe8f8b3edu};
    for (int kind = 1; kind <= 3; kind++) {
        jem__glyph_set s = {.kind = kind, .size = 28, .channels = kind == 2 ? 3 : 1, .seed = 5};
        set d = draw(1, s, 50);
        uint32_t hash = 2166136261u;
        for (int64_t i = 0; i < d.n * d.image; i++) hash = (hash ^ d.pixels[i]) * 16777619u;
        for (int64_t i = 0; i < d.n; i++) hash = (hash ^ (uint32_t)d.labels[i]) * 16777619u;
        ck_assert_msg(hash == expected[kind - 1], "kind %d: hash is 0x%08x", kind, hash);
        drop(d);
    }
}
END_TEST

TESTS("glyphs", addressed, sets_are_disjoint, balanced, letters_are_no_digits, tables_are_whole,
      contrast, sizes_and_colours, noise_is_uniform, not_linearly_easy, pinned)
